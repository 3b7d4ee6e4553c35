-- Resume a dead letter where it stopped; an open intent stays, so that the step looks first.
-- Only as it was when it was read: it may have been replayed since, and be dead again.
-- args: refund_id, version; facts (JSON), history (JSON), outcome; nonce;
--       act (worker/ledger/lua/acts.lua).
-- Returns 1 | 0.
local record = key('refund', args.refund_id)
-- A repeat of this call, whose first reply was lost.
if redis.call('HGET', record, 'replayed_by') == args.nonce then return 1 end
if redis.call('HGET', record, 'state') ~= 'dead' or redis.call('HGET', record, 'version') ~= args.version then return 0 end
redis.call('HSET', record, 'attempt', 0, 'failing_since_ms', 0, 'reason', '{}', 'updated_at_ms', int(now),
    'facts', args.facts, 'replayed_at_ms', int(now), 'replayed_by', args.nonce)
redis.call('HINCRBY', record, 'version', 1)
set_state(args.refund_id, redis.call('HGET', record, 'died_in'))
redis.call('HDEL', record, 'died_in')
redis.call('ZREM', key('dead'), args.refund_id)
note(args.refund_id, args.history)
publish(args.refund_id)
record_act()
line_up(args.refund_id, redis.call('HGET', record, 'store_id'))
return 1
