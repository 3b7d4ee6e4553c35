-- Correct the job of a dead letter before it is replayed. Its digest stays, so that a repeat of the job
-- as it was sent is still a duplicate.
-- args: refund_id, version (as it was read); request (JSON); history (JSON); act.
-- Returns 1 | 0 (it has changed, or is no dead letter any more).
if is_repeat then return 1 end
local record = key('refund', args.refund_id)
local known = redis.call('HMGET', record, 'state', 'version')
if known[1] ~= 'dead' or known[2] ~= args.version or is_newer(args.refund_id) then return 0 end
redis.call('HSET', record, 'request', args.request)
redis.call('HINCRBY', record, 'version', 1)
note(args.refund_id, args.history)
record_act()
return 1
