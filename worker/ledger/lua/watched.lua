-- Record looks at finished refunds of a store: what has changed, and when to look next: once more,
-- when the watch ends. A look that failed stays in the list for a day beyond that.
-- The change is written only onto the record that was looked at: a repeat whose first reply was
-- lost, or a second look at the same time, would report it again under another id.
-- args: store_id; refund_ids; for_ms; failed; calls (to Wix, beyond the one that was charged);
--       throttled (by Wix), pause_ms (0 if it did not say);
--       of the only refund, if it changed: version, facts, history (JSON), outcome, and reason (JSON)
--       if it becomes a dead letter, which ends the watch.
-- Returns 1.
local line = key('looks', args.store_id)
for _, id in ipairs(args.refund_ids) do
    local record = record_of(id)
    if args.history and record.version == args.version then
        change(id, {facts = args.facts, version = record.version + 1})
        if args.reason then
            change(id, {reason = args.reason, died_in = record.state, updated_at_ms = now})
            set_state(id, 'dead')
            redis.call('ZADD', key('dead'), now, id)
        end
        note(id, args.history)
        publish(id, args)
    end
    local ended = tonumber(record.updated_at_ms or 0)
    local is_over = now - ended >= args.for_ms
    if args.failed then is_over = now - ended >= args.for_ms + 86400000 end
    if record.state == 'dead' then is_over = true end
    if is_over or not args.failed then redis.call('ZREM', line, id) end
    if not is_over and not args.failed then plan_look(id, ended, args.for_ms) end
end
next_looks(args.store_id)
charge(args.store_id, args.calls)
if args.throttled then throttle(args.store_id, args.pause_ms) end
return 1
