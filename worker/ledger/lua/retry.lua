-- Let a refund that waits for a retry go now: into its lane, in order of arrival.
-- args: refund_id; history (JSON); act.
-- Returns retried | ended | on_hold | lane | busy.
local record, id = key('refund', args.refund_id), args.refund_id
if is_repeat then return 'retried' end
local known = redis.call('HMGET', record, 'state', 'store_id')
if not known[1] or ENDED[known[1]] then return 'ended' end
if is_on_hold(id) then return 'on_hold' end
if redis.call('ZREM', key('due'), id) == 0 then
    return redis.call('ZSCORE', key('lane', known[2]), id) and 'lane' or 'busy'
end
redis.call('HSET', record, 'due_at_ms', 0)
note(id, args.history)
record_act()
line_up(id, known[2])
return 'retried'
