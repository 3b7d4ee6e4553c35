-- A worker names its calls that the server may have forgotten: nothing else is changed at Wix for their
-- orders until they can no longer take effect. In pieces, if there are many; it may be repeated.
-- args: worker_id; era, that it was told, "" to ask; orders ("STORE|ORDER"), number (of this heartbeat),
--       is_last (piece); gives_up, whether more is forgotten than it can name; settle_delay_ms; knows_cells.
-- Returns {era, the last heartbeat of this worker that the ledger knows, "" if it knows none}. In another
-- era than that of the arguments it does nothing. The era is "" as long as the ledger's clock stands still:
-- after the next tick it may be much later.
if last > 0 and wall + offset > last + AHEAD_MS then return {'', ''} end
local since, worker = server_lost_writes_at(), key('worker', args.worker_id)
local present = era()
if args.era ~= present then return {present, redis.call('HGET', worker, 'beat') or ''} end
if #args.orders > 0 then
    local till = now + args.settle_delay_ms
    -- They are kept for long after: what is done for them next must look for the call (leases.lua).
    redis.call('ZREMRANGEBYSCORE', key('doubted'), '-inf', int(now - UNVOUCHED_MS))
    for _, order in ipairs(args.orders) do redis.call('ZADD', key('doubted'), 'GT', int(till), order) end
    redis.call('HSET', key('clock'), 'doubted_until_ms', int(math.max(till, tonumber(kept[8] or 0))))
end
-- Whether the front has forgotten that there are cells, even if it has been told again since. A worker that was
-- started without them may accept a store's jobs meanwhile, and only the workers of another cell know their calls.
local function has_forgotten_cells()
    if not args.knows_cells or string.find(ns, ':', 1, true) then return false end
    local count, grown_at = growth()
    return count == 1 or grown_at >= since
end

if args.is_last then
    redis.call('ZREM', key('unvouched'), args.worker_id)
    if (args.gives_up or has_forgotten_cells()) and since > 0 then redis.call('ZADD', key('unvouched'), int(since), '*') end
    redis.call('HSET', worker, 'beat', args.number)
end
return {present, tostring(args.number)}
