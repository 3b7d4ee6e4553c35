-- The message lists, in dramatiq's own layout so that any dramatiq producer may enqueue:
--   {ns}:QUEUE           LIST of message ids        {ns}:QUEUE.msgs  HASH id -> message
--   {ns}:QUEUE:inflight:WORKER  LIST of ids that a worker fetched and did not acknowledge
--   {ns}:workers         ZSET worker id -> last heartbeat, unix ms of the server
-- KEYS[1] "{ns}", ARGV: command, worker id, queue, then the command's own.
local ns, command, worker, queue = KEYS[1], ARGV[1], ARGV[2], ARGV[3]
local list, msgs = ns .. ':' .. queue, ns .. ':' .. queue .. '.msgs'
local inflight = ns .. ':' .. queue .. ':inflight:' .. worker
local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)

if command == 'enqueue' then
    -- Pitfall 8: a repeated enqueue of the same id must not queue it twice.
    if redis.call('HSET', msgs, ARGV[4], ARGV[5]) == 1 then redis.call('RPUSH', list, ARGV[4]) end
    return 1
elseif command == 'beat' then
    redis.call('ZADD', ns .. ':workers', string.format('%.0f', now), worker)
    return 1
elseif command == 'fetch' then
    -- Whoever holds messages is listed, so that they are found when it dies before its next beat.
    redis.call('ZADD', ns .. ':workers', 'NX', string.format('%.0f', now), worker)
    -- ARGV[4] how many are wanted, then the ids the consumer knows. What is in flight here but
    -- unknown to it was lost on the way (pitfalls 2 to 4): it is handed out again.
    local known, found = {}, {}
    for i = 5, #ARGV do known[ARGV[i]] = true end
    local ids = {}
    for _, id in ipairs(redis.call('LRANGE', inflight, 0, -1)) do
        if not known[id] then ids[#ids + 1] = id end
    end
    while #ids < tonumber(ARGV[4]) do
        local id = redis.call('LMOVE', list, inflight, 'LEFT', 'RIGHT')
        if not id then break end
        ids[#ids + 1] = id
    end
    for _, id in ipairs(ids) do
        local body = redis.call('HGET', msgs, id)
        if body then
            found[#found + 1] = id
            found[#found + 1] = body
        else
            redis.call('LREM', inflight, 1, id)
        end
    end
    return found
elseif command == 'ack' then
    if redis.call('LREM', inflight, 1, ARGV[4]) == 0 then return 0 end
    return redis.call('HDEL', msgs, ARGV[4])
elseif command == 'requeue' then
    for i = 4, #ARGV do
        if redis.call('LREM', inflight, 1, ARGV[i]) > 0 then redis.call('LPUSH', list, ARGV[i]) end
    end
    return 1
elseif command == 'reclaim' then
    -- ARGV[4] milliseconds of silence after which a worker is dead, then all queues.
    -- A silent worker is drained again and again for an hour: it may only have been paused, fetch
    -- once more, and die then.
    local lost = {}
    for _, dead in ipairs(redis.call('ZRANGEBYSCORE', ns .. ':workers', '-inf', now - tonumber(ARGV[4]))) do
        local moved = 0
        for i = 5, #ARGV do
            local full = ns .. ':' .. ARGV[i]
            while redis.call('LMOVE', full .. ':inflight:' .. dead, full, 'RIGHT', 'LEFT') do moved = moved + 1 end
        end
        if moved > 0 then lost[#lost + 1] = dead end
    end
    redis.call('ZREMRANGEBYSCORE', ns .. ':workers', '-inf', now - 3600000)
    -- What a plain producer delayed lies in dramatiq's delay queue, which nobody reads here.
    for i = 5, #ARGV do
        local full = ns .. ':' .. ARGV[i]
        local id = redis.call('LPOP', full .. '.DQ')
        while id do
            local body = redis.call('HGET', full .. '.DQ.msgs', id)
            redis.call('HDEL', full .. '.DQ.msgs', id)
            if body and redis.call('HSET', full .. '.msgs', id, body) == 1 then redis.call('RPUSH', full, id) end
            id = redis.call('LPOP', full .. '.DQ')
        end
    end
    return lost
elseif command == 'quarantine' then
    redis.call('HSET', ns .. ':quarantine', ARGV[6], ARGV[5])
    redis.call('LREM', inflight, 1, ARGV[4])
    return redis.call('HDEL', msgs, ARGV[4])
end
if command == 'restore' then
    if redis.call('HDEL', ns .. ':quarantine', ARGV[4]) == 0 then return 0 end
    redis.call('HSET', msgs, ARGV[4], ARGV[5])
    return redis.call('RPUSH', list, ARGV[4])
end
return redis.error_reply('unknown command ' .. command)
