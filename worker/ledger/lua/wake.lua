-- The scheduler's tick: the worker that leads wakes what is due.
-- args: worker_id, lead_ms; limit; boot_id "" | id of the boot of the worker's
--       machine; boot_ms, the time since then; wall_ms, the worker's own time; settle_delay_ms.
-- Returns {leads 1 | 0, number of refunds woken, by how much the server's clock stepped, ms}.
local lead = key('scheduler')
local leader = redis.call('GET', lead)
if leader and leader ~= args.worker_id then
    -- The key expires by the server's own clock, which may have been set back since it was written.
    if redis.call('PTTL', lead) > args.lead_ms then redis.call('PEXPIRE', lead, args.lead_ms) end
    return {0, 0, 0}
end
redis.call('SET', lead, args.worker_id, 'PX', args.lead_ms)

-- Tick the ledger's clock (worker/queue/clock.lua) by the time that really passed since the last
-- tick. A worker on the same boot of the same machine knows it. Another one takes the server's word
-- if its own clock agrees.
local ticked = redis.call('HMGET', key('clock'), 'boot_id', 'boot_ms')
local ran, stepped = wall + offset - last, 0
if last > 0 then
    local passed = 0
    if args.boot_id ~= '' and ticked[1] == args.boot_id then
        passed = math.max(0, args.boot_ms - tonumber(ticked[2]))
    elseif math.abs(wall - args.wall_ms) <= AHEAD_MS then
        passed = math.max(0, ran)
    end
    -- A slow network can explain less than this; more is a step of the server's clock.
    if math.abs(ran - passed) > AHEAD_MS then stepped = ran - passed end
end
offset = offset - stepped
now = math.max(last, wall + offset)
redis.call('HSET', key('clock'), 'last_ms', int(now), 'offset_ms', int(offset),
    'boot_id', args.boot_id, 'boot_ms', int(args.boot_ms))
-- The clock moves again, so another server can be found now.
last = now
server_lost_writes_at()

local due = redis.call('ZRANGEBYSCORE', key('due'), '-inf', now, 'LIMIT', 0, args.limit)
for _, id in ipairs(due) do
    redis.call('ZREM', key('due'), id)
    local record = record_of(id)
    local wait, is_last = 0, false
    if tonumber(record.failing_since_ms or 0) > 0 then wait, is_last = retry_in_ms(id, record.store_id) end
    if wait > 0 then
        postpone(id, record.store_id, wait)
    elseif record.state then
        if is_last then change(id, {last_try_ms = record.failing_since_ms}) end
        remove(id, 'starts_at_ms')
        change(id, {due_at_ms = 0, updated_at_ms = now})
        line_up(id, record.store_id)
    end
end
-- Stores that were over their rate.
for _, store in ipairs(redis.call('ZRANGEBYSCORE', key('paced'), '-inf', now, 'LIMIT', 0, args.limit)) do
    redis.call('ZREM', key('paced'), store)
    admit(store)
end
-- Finished refunds that are watched.
for _, id in ipairs(redis.call('ZRANGEBYSCORE', key('watch'), '-inf', now, 'LIMIT', 0, args.limit)) do
    line_up_look(id)
end
return {1, #due, stepped}
