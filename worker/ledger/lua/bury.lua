-- Turn an unfinished refund into a dead letter, wherever it waits; one that a living worker holds
-- is left to its step.
-- args: refund_id, store_id; reason (JSON), history (JSON), outcome; nonce, dead_after_ms;
--       epoch of the suspension that must not be over ("" for any).
-- Returns 1 | 0.
local id, store = args.refund_id, args.store_id
local record = record_of(id)
local state, held_by = record.state, record.held_by
-- A repeat of this call, whose first reply was lost.
if record.buried_by == args.nonce then return 1 end
if not next_transition(state) then return 0 end
if args.epoch ~= '' and redis.call('HGET', key('suspended', store), 'epoch') ~= args.epoch then return 0 end
local lease = key('lease', store, record.order_id)
if held_by and redis.call('GET', lease) == held_by then
    if is_alive(string.match(held_by, '^[^|]+')) then return 0 end
    redis.call('DEL', lease)
end
-- A worker that was paused finds its token gone. An open intent stays open, and is renewed: the
-- execution that wrote it never reported the effect, and its call may be seconds old.
if held_by and tonumber(record.intent_at_ms or 0) > 0 then change(id, {intent_at_ms = now}) end
remove(id, 'held_by')
change(id, {
    died_in = state, reason = args.reason, due_at_ms = 0, updated_at_ms = now, buried_by = args.nonce,
    version = record.version + 1,
})
set_state(id, 'dead')
redis.call('ZADD', key('dead'), now, id)
redis.call('ZREM', key('due'), id)
redis.call('ZREM', key('lane', store), id)
redis.call('ZREM', key('busy', store), id)
note(id, args.history)
publish(id, args)
admit(store)
return 1
