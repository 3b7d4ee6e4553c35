-- Resume a dead letter where it stopped; an open intent stays, so that the step looks first.
-- Only as it was when it was read: it may have been replayed since, and be dead again.
-- args: refund_id, version; facts (JSON), history (JSON), outcome; nonce;
--       act (worker/ledger/lua/acts.lua).
-- Returns 1 | 0.
local id = args.refund_id
local record = record_of(id)
-- A repeat of this call, whose first reply was lost.
if record.replayed_by == args.nonce then return 1 end
if record.state ~= 'dead' or record.version ~= args.version then return 0 end
change(id, {
    attempt = 0, failing_since_ms = 0, reason = '{}', updated_at_ms = now, facts = args.facts,
    replayed_at_ms = now, replayed_by = args.nonce, version = record.version + 1,
})
set_state(id, record.died_in)
remove(id, 'died_in')
redis.call('ZREM', key('dead'), id)
note(id, args.history)
publish(id, args)
record_act()
line_up(id, record.store_id)
return 1
