-- Set when Wix is asked again about a suspended store: after first_ms x 2^(refusals so far).
-- args: store_id; first_ms, cap_ms; refused.
-- Returns 1 | 0 (not suspended any more).
local suspended = key('suspended', args.store_id)
if redis.call('EXISTS', suspended) == 0 then
    redis.call('ZREM', key('probes'), args.store_id)
    return 0
end
local probes = redis.call('HINCRBY', suspended, 'probes', args.refused and 1 or 0)
redis.call('ZADD', key('probes'), now + math.min(args.cap_ms, args.first_ms * 2 ^ math.min(probes, 40)), args.store_id)
return 1
