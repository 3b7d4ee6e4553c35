-- End a dead letter: a person has settled it elsewhere, or gives it up.
-- args: refund_id, version (as it was read); state (resolved | discarded); resolution (JSON: who, why,
--       and how much was paid); settle_delay_ms; history (JSON), outcome; act.
-- Returns {status, ms to wait}; status: ended | changed | unclear (a call may still take effect).
if is_repeat then return {'ended', 0} end
local id = args.refund_id
local record = record_of(id)
if record.state ~= 'dead' or record.version ~= args.version then return {'changed', 0} end
local intent = tonumber(record.intent_at_ms or 0)
if intent > 0 and now < intent + args.settle_delay_ms then
    return {'unclear', intent + args.settle_delay_ms - now}
end
change(id, {resolution = args.resolution, updated_at_ms = now, version = record.version + 1})
set_state(id, args.state)
redis.call('ZREM', key('dead'), id)
note(id, args.history)
publish(id, args)
record_act()
return {'ended', 0}
