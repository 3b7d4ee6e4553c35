-- Hand out items of the running bulk acts, at their rates. An item stays on its list until it is done.
-- args: limit (per bulk act).
-- Returns {job, item id, item (JSON), job, ...}.
local found = {}
for _, job in ipairs(redis.call('SMEMBERS', key('jobs_running'))) do
    local name = key('job', job)
    local known = redis.call('HMGET', name, 'rate', 'next_ms', 'canary_left')
    local per_item_ms = 1000 / tonumber(known[1] or 1)
    -- What was missed while no worker ran is not made up for: at most a second's worth.
    local next_ms = math.max(tonumber(known[2] or 0), now - 1000)
    local count = math.min(args.limit, math.floor((now - next_ms) / per_item_ms) + 1)
    if next_ms > now then count = 0 end
    local canary_left = tonumber(known[3] or 0)
    if canary_left > 0 then count = math.min(count, canary_left) end
    if count > 0 then
        local ids = redis.call('ZRANGE', key('job', job, 'todo'), 0, count - 1)
        redis.call('HSET', name, 'next_ms', string.format('%.3f', next_ms + #ids * per_item_ms))
        for _, id in ipairs(ids) do
            found[#found + 1] = job
            found[#found + 1] = id
            found[#found + 1] = redis.call('HGET', key('job', job, 'items'), id) or '{}'
        end
        if #ids == 0 then finish_job(job) end
    end
end
return found
