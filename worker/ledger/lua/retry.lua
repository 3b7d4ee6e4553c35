-- Let a refund that waits for a retry go now: into its lane, in order of arrival.
-- args: refund_id; history (JSON); act.
-- Returns retried | ended | on_hold | early (its job says when it may start) | lane | busy.
local id = args.refund_id
local record = record_of(id)
if is_repeat then return 'retried' end
if not record.state or has_ended(record.state) then return 'ended' end
if is_on_hold(id) then return 'on_hold' end
if early_by(id) > 0 then return 'early' end
if redis.call('ZREM', key('due'), id) == 0 then
    return redis.call('ZSCORE', key('lane', record.store_id), id) and 'lane' or 'busy'
end
change(id, {due_at_ms = 0})
note(id, args.history)
record_act()
line_up(id, record.store_id)
return 'retried'
