-- Write the intent, right before a call that may change something at Wix. A step that was killed
-- before this has changed nothing.
-- args: refund_id; token "WORKER|MESSAGE|EXECUTION", fence; settle_delay_ms.
-- Returns {status, ms to wait}; status: written | lost (the lease) | held_back.
local record = key('refund', args.refund_id)
local held = redis.call('HMGET', record, 'held_by', 'fence', 'store_id', 'order_id')
if held[1] ~= args.token or held[2] ~= args.fence
    or redis.call('GET', key('lease', held[3], held[4])) ~= args.token then
    return {'lost', 0}
end
local since = server_lost_writes_at()
local left = since > 0 and since + args.settle_delay_ms - now or 0
if left > 0 then return {'held_back', left} end
redis.call('HSET', record, 'intent_at_ms', int(now))
return {'written', 0}
