-- Correct the job of a dead letter before it is replayed. Its digest stays, so that a repeat of the job
-- as it was sent is still a duplicate.
-- args: refund_id, version (as it was read); request (JSON); history (JSON); act.
-- Returns 1 | 0 (it has changed, or is no dead letter any more).
if is_repeat then return 1 end
local id = args.refund_id
local record = record_of(id)
if record.state ~= 'dead' or record.version ~= args.version or is_newer(id) then return 0 end
change(id, {request = args.request, version = record.version + 1})
note(id, args.history)
record_act()
return 1
