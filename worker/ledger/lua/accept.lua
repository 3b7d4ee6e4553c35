-- A job becomes a refund, once. Returns accepted | duplicate | conflict.
local r = key('refund', a.refund_id)
local digest = redis.call('HGET', r, 'digest')
-- A conflict is not acknowledged here: whoever puts it into quarantine does both at once.
if digest and digest ~= a.digest then return 'conflict' end
ack()
if digest then return 'duplicate' end
redis.call('HSET', r, 'request', a.request, 'digest', a.digest, 'store_id', a.store_id,
    'order_id', a.order_id, 'version', 1, 'accepted_at_ms', int(now), 'updated_at_ms', int(now),
    'arrival', redis.call('INCR', key('arrivals')))
set_state(a.refund_id, 'accepted')
redis.call('ZADD', key('accepted'), now, a.refund_id)
note(a.refund_id, a.history)
publish(a.refund_id)
line_up(a.refund_id, a.store_id)
return 'accepted'
