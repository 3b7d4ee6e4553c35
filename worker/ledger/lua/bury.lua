-- Turn an unfinished refund into a dead letter, wherever it waits; one that a living worker holds
-- is left to its step.
-- args: refund_id, store_id; reason (JSON), history (JSON), outcome; nonce, dead_after_ms;
--       epoch of the suspension that must not be over ("" for any).
-- Returns 1 | 0.
local record = key('refund', args.refund_id)
local state = redis.call('HGET', record, 'state')
-- A repeat of this call, whose first reply was lost.
if redis.call('HGET', record, 'buried_by') == args.nonce then return 1 end
if not NEXT[state] then return 0 end
if args.epoch ~= '' and redis.call('HGET', key('suspended', args.store_id), 'epoch') ~= args.epoch then return 0 end
local lease = key('lease', args.store_id, redis.call('HGET', record, 'order_id'))
local held_by = redis.call('HGET', record, 'held_by')
if held_by and redis.call('GET', lease) == held_by then
    if is_alive(string.match(held_by, '^[^|]+')) then return 0 end
    redis.call('DEL', lease)
end
-- A worker that was paused finds its token gone. An open intent stays open, and is renewed: the
-- execution that wrote it never reported the effect, and its call may be seconds old.
if held_by and tonumber(redis.call('HGET', record, 'intent_at_ms') or 0) > 0 then
    redis.call('HSET', record, 'intent_at_ms', int(now))
end
redis.call('HDEL', record, 'held_by')
redis.call('HSET', record, 'died_in', state, 'reason', args.reason, 'due_at_ms', 0, 'updated_at_ms', int(now),
    'buried_by', args.nonce)
redis.call('HINCRBY', record, 'version', 1)
set_state(args.refund_id, 'dead')
redis.call('ZADD', key('dead'), now, args.refund_id)
redis.call('ZREM', key('due'), args.refund_id)
redis.call('ZREM', key('lane', args.store_id), args.refund_id)
redis.call('ZREM', key('busy', args.store_id), args.refund_id)
note(args.refund_id, args.history)
publish(args.refund_id)
admit(args.store_id)
return 1
