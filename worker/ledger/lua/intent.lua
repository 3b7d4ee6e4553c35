-- Write the intent, right before a call that may change something at Wix. A step that was killed
-- before this has changed nothing.
-- args: refund_id; token "WORKER|MESSAGE|EXECUTION", fence; settle_delay_ms; expires_at_ms (from when on
--       a refund that has changed nothing must not start; 0 for never); guard, if there are limits
--       (worker/ledger/lua/guards.lua).
-- Returns {status, ms to wait, what is asked (JSON)}; status: written | lost (the lease) | expired |
-- held_back | needs_approval.
local record = key('refund', args.refund_id)
local held = redis.call('HMGET', record, 'held_by', 'fence', 'store_id', 'order_id')
if held[1] ~= args.token or held[2] ~= args.fence
    or redis.call('GET', key('lease', held[3], held[4])) ~= args.token then
    return {'lost', 0}
end
if args.expires_at_ms > 0 and now >= args.expires_at_ms then return {'expired', 0} end
local since = server_lost_writes_at()
local left = since > 0 and since + args.settle_delay_ms - now or 0
if left > 0 then return {'held_back', left} end
local asks = args.guard and guarded(args.refund_id, held[3], args.guard)
if asks then return {'needs_approval', 0, cjson.encode(asks)} end
redis.call('HSET', record, 'intent_at_ms', int(now))
return {'written', 0}
