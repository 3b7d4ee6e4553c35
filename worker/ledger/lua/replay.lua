-- A dead letter goes on where it died; an open intent stays, so that the step looks first.
-- Only as it was when it was looked at: it may have been replayed, and have died anew. Returns 1 | 0.
local r = key('refund', a.refund_id)
-- A repeat of this very call, whose reply was lost.
if redis.call('HGET', r, 'replayed_by') == a.nonce then return 1 end
if redis.call('HGET', r, 'state') ~= 'dead' or redis.call('HGET', r, 'version') ~= a.version then return 0 end
redis.call('HSET', r, 'attempt', 0, 'failing_since_ms', 0, 'reason', '{}', 'updated_at_ms', int(now),
    'facts', a.facts, 'replayed_at_ms', int(now), 'replayed_by', a.nonce)
redis.call('HINCRBY', r, 'version', 1)
set_state(a.refund_id, redis.call('HGET', r, 'died_in'))
redis.call('HDEL', r, 'died_in')
redis.call('ZREM', key('dead'), a.refund_id)
note(a.refund_id, a.history)
publish(a.refund_id)
line_up(a.refund_id, redis.call('HGET', r, 'store_id'))
return 1
