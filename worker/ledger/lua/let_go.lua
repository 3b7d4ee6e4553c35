-- Let a refund on hold go on: into its lane, in order of arrival.
-- args: refund_id; dead_after_ms; history (JSON); act.
-- Returns 1 | 0 (it is not on hold).
if is_repeat then return 1 end
local id = args.refund_id
local record = record_of(id)
if not is_on_hold(id) then return 0 end
-- A record of the first version has no schema.
local schema = record.schema_before_hold
if schema and schema ~= '' then change(id, {schema = schema}) else remove(id, 'schema') end
remove(id, 'hold', 'hold_at_ms', 'schema_before_hold')
note(id, args.history)
record_act()
-- It is still in its slot if the hold had to wait for its step.
if redis.call('ZREM', key('on_hold'), id) == 1 then line_up(id, record.store_id) end
return 1
