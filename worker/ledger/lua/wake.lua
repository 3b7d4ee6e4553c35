-- The scheduler's tick: the worker that leads wakes what is due.
-- args: worker_id, lead_ms; limit; watch_again_ms; elapsed_ms since this worker's last tick as the
--       leader, by its monotonic clock, -1 when unknown; wall_ms, the worker's own time.
-- Returns {leads 1 | 0, number of refunds woken, by how much the server's clock stepped, ms}.
local lead = key('scheduler')
local leader = redis.call('GET', lead)
if leader and leader ~= args.worker_id then return {0, 0, 0} end
redis.call('SET', lead, args.worker_id, 'PX', args.lead_ms)

-- Tick the ledger's clock (worker/queue/clock.lua). After a time without a leader, the server is
-- only believed when that was short, or when the worker's own clock agrees with it.
local GAP_MS = 60000
local ran, passed, stepped = wall + offset - last, args.elapsed_ms, 0
if last > 0 then
    if passed < 0 then
        local agrees = ran <= GAP_MS or math.abs(wall - args.wall_ms) <= GAP_MS
        passed = ran >= 0 and agrees and ran or 0
    end
    -- A slow reply can explain less than this; more is a step of the server's clock.
    if math.abs(ran - passed) > AHEAD_MS then stepped = ran - passed end
end
offset = offset - stepped
now = math.max(last, wall + offset)
redis.call('HSET', key('clock'), 'last_ms', int(now), 'offset_ms', int(offset))

local due = redis.call('ZRANGEBYSCORE', key('due'), '-inf', now, 'LIMIT', 0, args.limit)
for _, id in ipairs(due) do
    redis.call('ZREM', key('due'), id)
    redis.call('HSET', key('refund', id), 'due_at_ms', 0)
    line_up(id, redis.call('HGET', key('refund', id), 'store_id'))
end
-- Stores that were over their rate.
for _, store in ipairs(redis.call('ZRANGEBYSCORE', key('paced'), '-inf', now, 'LIMIT', 0, args.limit)) do
    redis.call('ZREM', key('paced'), store)
    admit(store)
end
-- Finished refunds that are watched. If the message is lost, they are looked at later.
for _, id in ipairs(redis.call('ZRANGEBYSCORE', key('watch'), '-inf', now, 'LIMIT', 0, args.limit)) do
    redis.call('ZADD', key('watch'), now + args.watch_again_ms, id)
    send(id, 'recheck_refund')
end
return {1, #due, stepped}
