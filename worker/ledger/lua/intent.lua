-- Write the intent, right before a call that may change something at Wix. A step that was killed
-- before this has changed nothing.
-- args: refund_id; token "WORKER|MESSAGE|EXECUTION", fence; settle_delay_ms; expires_at_ms (from when on
--       a refund that has changed nothing must not start; 0 for never); guard, if there are limits
--       (worker/ledger/lua/guards.lua); era, in which this worker vouches for its calls, if it does.
-- Returns {status, ms to wait, what is asked (JSON)}; status: written | lost (the lease) | expired |
-- held_back | needs_approval.
local record = key('refund', args.refund_id)
local held = redis.call('HMGET', record, 'held_by', 'fence', 'store_id', 'order_id', 'suspected_at_ms')
if held[1] ~= args.token or held[2] ~= args.fence
    or redis.call('GET', key('lease', held[3], held[4])) ~= args.token then
    return other_ledger() or {'lost', 0}
end
if args.expires_at_ms > 0 and now >= args.expires_at_ms then return {'expired', 0} end
local left, since = held_back_ms(held[3], held[4]), tonumber(kept[4] or 0)
-- A program that does not vouch must not make a call of which nobody would know.
if not args.era and since > 0 then left = math.max(left, since + args.settle_delay_ms - now) end
if left > 0 then return {'held_back', left} end
-- This worker has not vouched since the doubt; or it has, and this server was replaced.
if args.era and args.era ~= era() then return {'held_back', SOON_MS} end
local asks = args.guard and guarded(args.refund_id, held[3], args.guard)
if asks then return {'needs_approval', 0, cjson.encode(asks)} end
redis.call('HSET', record, 'intent_at_ms', int(now))
if held[5] then redis.call('HDEL', record, 'suspected_at_ms') end
return {'written', 0}
