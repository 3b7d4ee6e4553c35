-- Let a refund on hold go on: into its lane, in order of arrival.
-- args: refund_id; dead_after_ms; history (JSON); act.
-- Returns 1 | 0 (it is not on hold).
if is_repeat then return 1 end
local id = args.refund_id
if not is_on_hold(id) then return 0 end
note(id, args.history)
record_act()
go_on(id)
return 1
