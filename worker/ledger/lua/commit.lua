-- Everything a step changes, at once: state, history, facts, next message or due time, lane,
-- lease and the acknowledgement.
-- args: refund_id, token, fence; state; next "now" | "later" | "lane" | "end"; due_in_ms;
--       fields {name: text}; history (JSON lines); wix_calls; intent "clear" | "keep" | "open";
--       uncounted; watch_in_ms; accepted_endpoints; lacking; throttled, pause_ms; epoch;
--       suspension, outcome and also (a second outcome), if any;
--       worker_id, queue, message_id of the delivery.
-- Returns committed | suspended (the store, by this step) | stale (the lease was lost).
local record = key('refund', args.refund_id)
local store, order = redis.call('HGET', record, 'store_id'), redis.call('HGET', record, 'order_id')
local lease = key('lease', store, order)
local suspended = key('suspended', store)
if redis.call('HGET', record, 'settled_fence') == args.fence then
    return redis.call('HGET', suspended, 'by') == args.token and 'suspended' or 'committed'
end
if redis.call('HGET', record, 'held_by') ~= args.token or redis.call('HGET', record, 'fence') ~= args.fence
    or redis.call('GET', lease) ~= args.token then
    ack()
    return 'stale'
end
local intent = {clear = 0, keep = redis.call('HGET', record, 'prior_intent_at_ms') or 0, open = int(now)}
redis.call('HSET', record, 'intent_at_ms', intent[args.intent])
for field, value in pairs(args.fields) do redis.call('HSET', record, field, value) end
redis.call('HINCRBY', record, 'version', 1)
redis.call('HINCRBY', record, 'wix_calls', args.wix_calls)
charge(store, args.wix_calls - (redis.call('HGET', record, 'reserved') or 0))
if args.throttled then throttle(store, args.pause_ms) end
if args.uncounted then redis.call('HINCRBY', record, 'attempts', -1) end
redis.call('HSET', record, 'settled_fence', args.fence, 'updated_at_ms', int(now), 'committed_at_ms', int(now))
redis.call('HDEL', record, 'held_by')
redis.call('DEL', lease)
set_state(args.refund_id, args.state)
redis.call('ZREM', key('due'), args.refund_id)
for _, line in ipairs(args.history) do note(args.refund_id, line) end
publish(args.refund_id)
if args.watch_in_ms > 0 then plan_look(args.refund_id, now, args.watch_in_ms) end
ack()
record_accepted(store)
if args.lacking ~= '' then
    redis.call('HSET', key('lacking', store), args.lacking, int(now))
    redis.call('HDEL', key('worked', store), args.lacking)
end
-- A rejected refund is an answer for upstream, not an error.
if args.state ~= 'rejected' and args.fields.reason and args.fields.reason ~= '{}' then
    redis.call('HSET', key('store', store), 'last_error', args.fields.reason, 'last_error_at_ms', int(now))
end
local status = 'committed'
-- A refusal of a key that was exchanged meanwhile, or of a suspension that is over, says nothing.
local epoch = redis.call('HGET', key('store', store), 'epoch') or '0'
if args.suspension and not is_suspended(store) and epoch == args.epoch then
    redis.call('HSET', suspended, 'by', args.token, 'since_ms', int(now), 'probes', 0, 'epoch', args.epoch,
        'endpoint', args.suspension.endpoint, 'reason', args.suspension.reason)
    redis.call('ZADD', key('probes'), now + args.suspension.probe_in_ms, store)
    publish_store(store, args.suspension.outcome)
    status = 'suspended'
end
if args.next == 'now' and not is_suspended(store) and not is_paused(store) then
    send(args.refund_id)
elseif args.next == 'now' or args.next == 'lane' then
    stand_back(args.refund_id, store)
elseif args.next == 'later' then
    postpone(args.refund_id, store, args.due_in_ms)
else
    if args.state == 'dead' then redis.call('ZADD', key('dead'), now, args.refund_id) end
    redis.call('ZREM', key('busy', store), args.refund_id)
    admit(store)
end
return status
