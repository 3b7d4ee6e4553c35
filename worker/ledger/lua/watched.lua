-- Record a look at a finished refund: what has changed, and when to look next.
-- The wait doubles with the time since the end, from first_ms to a day; after for_ms it ends.
-- The change is written only onto the record that was looked at: a repeat whose first reply was
-- lost, or a second message, would report it again under another id.
-- args: refund_id, version; first_ms, for_ms; facts, history (JSON) and outcome, if it changed;
--       reason (JSON), if it becomes a dead letter, which ends the watch;
--       worker_id, queue, message_id of the delivery.
-- Returns 1.
local record = key('refund', args.refund_id)
local ended = tonumber(redis.call('HGET', record, 'updated_at_ms') or 0)
if args.history and redis.call('HGET', record, 'version') == args.version then
    redis.call('HSET', record, 'facts', args.facts)
    redis.call('HINCRBY', record, 'version', 1)
    if args.reason then
        redis.call('HSET', record, 'reason', args.reason, 'died_in', redis.call('HGET', record, 'state'),
            'updated_at_ms', int(now))
        set_state(args.refund_id, 'dead')
        redis.call('ZADD', key('dead'), now, args.refund_id)
    end
    note(args.refund_id, args.history)
    publish(args.refund_id)
end
local age = now - ended
if age >= args.for_ms or redis.call('HGET', record, 'state') == 'dead' then
    redis.call('ZREM', key('watch'), args.refund_id)
else
    local wait = math.min(math.max(age, args.first_ms), 86400000)
    redis.call('ZADD', key('watch'), 'XX', now + wait, args.refund_id)
end
ack()
return 1
