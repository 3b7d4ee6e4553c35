-- A job becomes a refund, once.
-- args: refund_id, store_id, order_id; request (JSON), digest, schema (the version it needs);
--       history (JSON); outcome; due_at_ms, by the server's time (0 for at once);
--       worker_id, queue, message_id of the delivery.
-- Returns accepted | duplicate | conflict.
local record = key('refund', args.refund_id)
local digest = redis.call('HGET', record, 'digest')
-- A conflict is acknowledged by the script that puts it into quarantine.
if digest and digest ~= args.digest then return 'conflict' end
ack()
if digest then return 'duplicate' end
redis.call('HSET', record, 'request', args.request, 'digest', args.digest, 'store_id', args.store_id,
    'order_id', args.order_id, 'version', 1, 'schema', args.schema, 'accepted_at_ms', int(wall), 'updated_at_ms', int(now),
    'committed_at_ms', int(now), 'arrival', redis.call('INCR', key('arrivals')))
set_state(args.refund_id, 'accepted')
redis.call('ZADD', key('accepted'), wall, args.refund_id)
redis.call('SADD', key('order', args.store_id, args.order_id), args.refund_id)
note(args.refund_id, args.history)
publish(args.refund_id)
if args.due_at_ms > wall then
    postpone(args.refund_id, args.store_id, args.due_at_ms - wall)
else
    line_up(args.refund_id, args.store_id)
end
return 'accepted'
