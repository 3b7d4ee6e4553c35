-- Turn a refund that waits for an approval into a dead letter: it was rejected, but an earlier call may
-- have changed something at Wix, so it cannot be called off.
-- args: refund_id, version (as it was read); reason (JSON), history (JSON), outcome; act.
-- Returns dead | changed.
if is_repeat then return 'dead' end
local id = args.refund_id
local record = record_of(id)
local is_waiting = decoded(record.hold).reason == 'needs_approval'
if not is_waiting or record.version ~= args.version or is_newer(id) then return 'changed' end
remove(id, 'approvals')
change(id, {
    died_in = record.state, reason = args.reason, due_at_ms = 0, updated_at_ms = now, version = record.version + 1,
})
set_state(id, 'dead')
redis.call('ZADD', key('dead'), now, id)
note(id, args.history)
publish(id, args)
record_act()
return 'dead'
