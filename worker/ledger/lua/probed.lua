-- When Wix is asked again about a suspended store: after a.first_ms x 2^(refusals so far).
local suspended = key('suspended', a.store_id)
if redis.call('EXISTS', suspended) == 0 then
    redis.call('ZREM', key('probes'), a.store_id)
    return 0
end
local probes = redis.call('HINCRBY', suspended, 'probes', a.refused and 1 or 0)
redis.call('ZADD', key('probes'), now + math.min(a.cap_ms, a.first_ms * 2 ^ math.min(probes, 40)), a.store_id)
return 1
