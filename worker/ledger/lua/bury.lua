-- An unfinished refund becomes a dead letter, wherever it waits; one that a living worker holds is
-- left to its step. Returns 1 | 0.
local r = key('refund', a.refund_id)
local state = redis.call('HGET', r, 'state')
-- A repeat of this very call, whose reply was lost.
if redis.call('HGET', r, 'buried_by') == a.nonce then return 1 end
if not NEXT[state] then return 0 end
local lease = key('lease', a.store_id, redis.call('HGET', r, 'order_id'))
local held_by = redis.call('HGET', r, 'held_by')
if held_by and redis.call('GET', lease) == held_by then
    if is_alive(string.match(held_by, '^[^|]+')) then return 0 end
    redis.call('DEL', lease)
end
-- A worker that was paused and comes back finds its token gone; an open intent stays open, and
-- whoever announced it never told the outcome: its call may have left a moment ago.
if held_by and tonumber(redis.call('HGET', r, 'intent_at_ms') or 0) > 0 then
    redis.call('HSET', r, 'intent_at_ms', int(now))
end
redis.call('HDEL', r, 'held_by')
redis.call('HSET', r, 'died_in', state, 'reason', a.reason, 'due_at_ms', 0, 'updated_at_ms', int(now),
    'buried_by', a.nonce)
redis.call('HINCRBY', r, 'version', 1)
set_state(a.refund_id, 'dead')
redis.call('ZADD', key('dead'), now, a.refund_id)
redis.call('ZREM', key('due'), a.refund_id)
redis.call('ZREM', key('lane', a.store_id), a.refund_id)
redis.call('ZREM', key('busy', a.store_id), a.refund_id)
note(a.refund_id, a.history)
publish(a.refund_id)
admit(a.store_id)
return 1
