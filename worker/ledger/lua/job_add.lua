-- Add to the frozen selection of a bulk act that nobody has confirmed yet; the first call creates it.
-- args: job; fields {name: text}; items (id, JSON, id, JSON, ...); first (the number of the first item);
--       expire_s.
-- Returns the number of items so far.
local name, todo, items = key('job', args.job), key('job', args.job, 'todo'), key('job', args.job, 'items')
if redis.call('HSETNX', name, 'state', 'frozen') == 1 then
    redis.call('HSET', name, 'created_at_ms', int(wall), 'done', 0, 'refused', 0, 'next_ms', 0)
    for field, value in pairs(args.fields) do redis.call('HSET', name, field, value) end
    redis.call('ZADD', key('jobs'), wall, args.job)
    -- The oldest may have expired.
    for _, old in ipairs(redis.call('ZRANGE', key('jobs'), 0, 99)) do
        if redis.call('EXISTS', key('job', old)) == 0 then redis.call('ZREM', key('jobs'), old) end
    end
end
for n = 1, #args.items, 2 do
    redis.call('ZADD', todo, 'NX', args.first + (n - 1) / 2, args.items[n])
    redis.call('HSETNX', items, args.items[n], args.items[n + 1])
end
local total = redis.call('HLEN', items)
redis.call('HSET', name, 'total', total)
for _, each in ipairs({name, todo, items}) do redis.call('EXPIRE', each, args.expire_s) end
return total
