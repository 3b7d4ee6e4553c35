-- Load, guard, lease and intent in one round trip.
-- Returns {verdict, now, fence, record...}; verdict: claimed | unknown | refused | early | busy.
-- a.token is "WORKER|MESSAGE|EXECUTION". The same token may ask again: a lost reply changes nothing.
-- The same message in the same worker may take over from its earlier execution, which has ended.
local r = key('refund', a.refund_id)
local state = redis.call('HGET', r, 'state')
if not state then ack() return {'unknown', int(now), 0} end
if not a.sources[state] then
    ack()
    return {'refused', int(now), 0, unpack(redis.call('HGETALL', r))}
end
if redis.call('ZSCORE', key('due'), a.refund_id) then
    ack()
    return {'early', int(now), 0, unpack(redis.call('HGETALL', r))}
end
local store = redis.call('HGET', r, 'store_id')
local lease = key('lease', store, redis.call('HGET', r, 'order_id'))
local holder = redis.call('GET', lease)
local owner = string.match(a.token, '^(.*|)')
if holder and string.match(holder, '^(.*|)') ~= owner and is_alive(string.match(holder, '^[^|]+')) then
    -- When it is this very refund that runs elsewhere, nothing has to come back.
    if redis.call('HGET', r, 'held_by') ~= holder then postpone(a.refund_id, store, a.busy_ms) end
    ack()
    return {'busy', int(now), 0, unpack(redis.call('HGETALL', r))}
end
local held_by = redis.call('HGET', r, 'held_by')
if held_by ~= a.token then
    local intent = tonumber(redis.call('HGET', r, 'intent_at_ms') or 0)
    -- Whoever announced it never told the outcome: its call may have left a moment ago.
    if held_by and intent > 0 then intent = now end
    redis.call('HSET', r, 'held_by', a.token, 'fence', redis.call('INCR', key('fence')),
        'prior_intent_at_ms', int(intent))
    redis.call('HINCRBY', r, 'attempt', 1)
    redis.call('HINCRBY', r, 'attempts', 1)
    if a.mutates then redis.call('HSET', r, 'intent_at_ms', int(now)) end
end
redis.call('SET', lease, a.token, 'PX', a.lease_cap_ms)
redis.call('ZADD', key('busy', store), 'NX', now, a.refund_id)
redis.call('SADD', key('busy_stores'), store)
return {'claimed', int(now), redis.call('HGET', r, 'fence'), unpack(redis.call('HGETALL', r))}
