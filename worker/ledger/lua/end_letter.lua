-- End a dead letter: a person has settled it elsewhere, or gives it up.
-- args: refund_id, version (as it was read); state (resolved | discarded); resolution (JSON: who, why,
--       and how much was paid); settle_delay_ms; history (JSON), outcome; act.
-- Returns {status, ms to wait}; status: ended | changed | unclear (a call may still take effect).
if is_repeat then return {'ended', 0} end
local record = key('refund', args.refund_id)
local known = redis.call('HMGET', record, 'state', 'version', 'intent_at_ms')
if known[1] ~= 'dead' or known[2] ~= args.version then return {'changed', 0} end
local intent = tonumber(known[3] or 0)
if intent > 0 and now < intent + args.settle_delay_ms then
    return {'unclear', intent + args.settle_delay_ms - now}
end
redis.call('HSET', record, 'resolution', args.resolution, 'updated_at_ms', int(now))
redis.call('HINCRBY', record, 'version', 1)
set_state(args.refund_id, args.state)
redis.call('ZREM', key('dead'), args.refund_id)
note(args.refund_id, args.history)
publish(args.refund_id)
record_act()
return {'ended', 0}
