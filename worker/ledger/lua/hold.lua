-- Stop a refund where it is, until a person releases it. A step that runs finishes first.
-- args: refund_id; hold (JSON: who, why), schema (workers before it do not know holds);
--       dead_after_ms; history (JSON); act.
-- Returns held | stopping (after the step that runs) | already | ended | newer.
local id = args.refund_id
local record = record_of(id)
if not record.state or has_ended(record.state) then return 'ended' end
if is_newer(id) then return 'newer' end
local running = is_held(id)
if is_on_hold(id) and not is_repeat then return 'already' end
if is_repeat then return running and 'stopping' or 'held' end
change(id, {
    hold = args.hold, hold_at_ms = now, schema_before_hold = record.schema or '', schema = schema_on_hold(id, args.schema),
})
note(id, args.history)
record_act()
if running then return 'stopping' end
set_aside(id, record.store_id)
return 'held'
