-- Load, guard, lease and intent in one round trip.
-- Returns {verdict, now, fence, sealed key, epoch, disconnected, record...};
-- verdict: claimed | unknown | refused | early | busy | suspended | paced.
-- a.token is "WORKER|MESSAGE|EXECUTION". The same token may ask again: a lost reply changes nothing.
-- The same message in the same worker may take over from its earlier execution, which has ended.
local r = key('refund', a.refund_id)
local state = redis.call('HGET', r, 'state')
local function unclaimed(verdict)
    ack()
    return {verdict, int(now), 0, '', 0, '', unpack(redis.call('HGETALL', r))}
end
if not state then return unclaimed('unknown') end
if not a.sources[state] then return unclaimed('refused') end
if redis.call('ZSCORE', key('due'), a.refund_id) then return unclaimed('early') end
local store = redis.call('HGET', r, 'store_id')
local lease = key('lease', store, redis.call('HGET', r, 'order_id'))
local holder = redis.call('GET', lease)
local owner = string.match(a.token, '^(.*|)')
if holder and string.match(holder, '^(.*|)') ~= owner and is_alive(string.match(holder, '^[^|]+')) then
    -- When it is this very refund that runs elsewhere, nothing has to come back.
    if redis.call('HGET', r, 'held_by') ~= holder then postpone(a.refund_id, store, a.busy_ms) end
    return unclaimed('busy')
end
local held_by = redis.call('HGET', r, 'held_by')
-- The lane does not go on: back into it. No attempt is spent; an intent whose outcome nobody told
-- stays open. The execution that held the order ended, or its worker fell silent: its lease goes,
-- else the order stood still until the lease's end. Should that worker wake up after all, its guard
-- and its settle find no lease. held_by stays, so that the next claim dates the intent anew.
local function come_back(verdict)
    if holder and holder == held_by then redis.call('DEL', lease) end
    stand_back(a.refund_id, store)
    return unclaimed(verdict)
end
if held_by ~= a.token and is_suspended(store) then return come_back('suspended') end
if held_by ~= a.token and is_paced(store) then return come_back('paced') end
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
-- An old message may find it in the lane, after a replay: it is in one place, or its slot leaks.
redis.call('ZREM', key('lane', store), a.refund_id)
redis.call('ZADD', key('busy', store), 'NX', now, a.refund_id)
redis.call('SADD', key('busy_stores'), store)
local known = redis.call('HMGET', key('store', store), 'sealed', 'epoch', 'disconnected_at_ms')
return {'claimed', int(now), redis.call('HGET', r, 'fence'), known[1] or '', known[2] or 0, known[3] or '',
    unpack(redis.call('HGETALL', r))}
