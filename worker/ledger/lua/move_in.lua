-- A store moves in: from now on this cell accepts its jobs.
-- args: store_id; lost_at_ms, what announce.lua said; hold_ms, for which nothing must be changed at Wix
--       (home.lua); settle_delay_ms.
-- Returns 1 | 0 (since it was announced it was retracted, or the server may have forgotten it).
local was_announced = redis.call('SREM', key('newcomers'), args.store_id) == 1
if redis.call('SISMEMBER', key('residents'), args.store_id) == 1 then return 1 end
if not was_announced or server_lost_writes_at() ~= args.lost_at_ms then return 0 end
redis.call('SADD', key('residents'), args.store_id)
-- The doubt of the front is that of this cell now, too. It is never the same as one that the cell had, for which
-- its workers may have vouched: only those of another cell know the call (worker/queue/lost_writes.lua).
if args.hold_ms > 0 then
    local since = math.max(now + args.hold_ms - args.settle_delay_ms, tonumber(kept[4] or 0) + 1)
    redis.call('HSET', key('clock'), 'doubt_ms', int(since))
end
return 1
