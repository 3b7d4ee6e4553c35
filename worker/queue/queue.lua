-- The message lists, in dramatiq's own layout so that any dramatiq producer may enqueue. The keys
-- are listed in worker/ledger/README.md.
-- worker/queue/clock.lua is in front.
-- args: command, worker_id, queue, and the command's own, see each below.
-- Returns what each command says.
local list, msgs = ns .. ':' .. args.queue, ns .. ':' .. args.queue .. '.msgs'
local inflight = ns .. ':' .. args.queue .. ':inflight:' .. args.worker_id

-- How long a silent worker is listed.
local LISTED_MS = 3600000
-- How long what comes to a worker that has stopped is still taken from it.
local LEFT_MS = 60000

local commands = {}

-- args: about {field: text}, what the worker says about itself; counts {field: number}, what it counted
-- since its last heartbeat; number, of this heartbeat; era, in which it vouches for its calls, "" for none.
-- Write this worker's heartbeat. Its number is kept in this era only: it says that the data has all intents
-- that were answered before. Returns the ledger's era; "" on a server that was not yet found to be another one, and
-- to a worker that was silent for so long that it is listed no longer: it vouches, as a new one does.
function commands.beat()
    redis.call('ZADD', ns .. ':workers', int(now), args.worker_id)
    local about = ns .. ':worker:' .. args.worker_id
    for field, value in pairs(args.about or {}) do redis.call('HSET', about, field, value) end
    local present = kept[3] == server_id(redis.call('INFO', 'server')) and era() or ''
    if present ~= '' and args.era == present then
        if redis.call('HEXISTS', about, 'beat') == 1 then
            redis.call('HSET', about, 'beat', args.number)
        else
            present = ''
        end
    end
    -- As long as a silent worker is listed, see reclaim.
    redis.call('PEXPIRE', about, LISTED_MS)
    add_counts('minute', args.counts or {})
    return present
end

-- args: queues. This worker has stopped: if it has nothing in flight, it is listed no longer. Returns 1 | 0.
function commands.leave()
    -- A thread still runs what it was handed: nobody may take its lease before the worker is silent.
    if redis.call('EXISTS', ns .. ':handed:' .. args.worker_id) == 1 then return 0 end
    for _, queue in ipairs(args.queues) do
        if redis.call('LLEN', ns .. ':' .. queue .. ':inflight:' .. args.worker_id) > 0 then return 0 end
    end
    redis.call('DEL', ns .. ':worker:' .. args.worker_id)
    redis.call('ZADD', ns .. ':left', int(now), args.worker_id)
    return redis.call('ZREM', ns .. ':workers', args.worker_id)
end

-- args: wanted, known (ids that the consumer holds); newest, how many are taken from the end of the list
-- if it holds more. What is in flight here but not known to the consumer was lost on the way (pitfalls 2
-- to 4): it is handed out again.
-- Returns {id, message, id, message, ...}.
function commands.fetch()
    -- A worker that holds messages is listed, so that they are found if it dies before it beats.
    redis.call('ZADD', ns .. ':workers', 'NX', int(now), args.worker_id)
    local known, ids, found = {}, {}, {}
    for _, id in ipairs(args.known) do known[id] = true end
    for _, id in ipairs(redis.call('LRANGE', inflight, 0, -1)) do
        if not known[id] then ids[#ids + 1] = id end
    end
    local newest = args.newest or 0
    local function take(pop, count)
        local taken = count > 0 and redis.call(pop, list, count) or {}
        for _, id in ipairs(taken) do ids[#ids + 1] = id end
        if #taken > 0 then redis.call('RPUSH', inflight, unpack(taken)) end
    end
    take('LPOP', args.wanted - #ids - newest)
    take('RPOP', math.min(newest, args.wanted - #ids))
    if #ids == 0 then return found end
    for place, message in ipairs(redis.call('HMGET', msgs, unpack(ids))) do
        if message then
            found[#found + 1] = ids[place]
            found[#found + 1] = message
        else
            redis.call('LREM', inflight, 1, ids[place])
        end
    end
    return found
end

-- args: message_id. Returns 1 | 0 (it was not this worker's any more).
function commands.ack()
    if redis.call('LREM', inflight, 1, args.message_id) == 0 then return 0 end
    return redis.call('HDEL', msgs, args.message_id)
end

-- args: ids. Acknowledge many messages. Returns how many were still this worker's.
function commands.ack_all()
    local done = {}
    for _, id in ipairs(args.ids) do
        if redis.call('LREM', inflight, 1, id) > 0 then done[#done + 1] = id end
    end
    return #done > 0 and redis.call('HDEL', msgs, unpack(done)) or 0
end

-- args: ids. Give fetched messages back. Returns 1.
function commands.requeue()
    for _, id in ipairs(args.ids) do
        if redis.call('LREM', inflight, 1, id) > 0 then redis.call('LPUSH', list, id) end
    end
    return 1
end

-- Move what a plain producer delayed from dramatiq's delay queue, which nobody reads here.
local function take_in_delayed(queue)
    local full = ns .. ':' .. queue
    local id = redis.call('LPOP', full .. '.DQ')
    while id do
        local message = redis.call('HGET', full .. '.DQ.msgs', id)
        redis.call('HDEL', full .. '.DQ.msgs', id)
        if message and redis.call('HSET', full .. '.msgs', id, message) == 1 then
            redis.call('RPUSH', full, id)
        end
        id = redis.call('LPOP', full .. '.DQ')
    end
end

-- args: dead_after_ms, queues. Give the messages of dead workers back to their queues. A silent
-- worker is drained repeatedly for an hour: it may only be paused, fetch once more, and die then. So is
-- one that has stopped, for a minute: the server may give a message to a BLMOVE whose connection broke
-- before the worker stopped. Returns the ids of the workers that held messages.
function commands.reclaim()
    redis.call('HSET', ns .. ':clock', 'reconciled_ms', int(now))
    local lost = {}
    local dead = redis.call('ZRANGEBYSCORE', ns .. ':workers', '-inf', int(now - args.dead_after_ms))
    local function drain(worker_id)
        local moved = 0
        for _, queue in ipairs(args.queues) do
            local full = ns .. ':' .. queue
            while redis.call('LMOVE', full .. ':inflight:' .. worker_id, full, 'RIGHT', 'LEFT') do
                moved = moved + 1
            end
        end
        if moved > 0 then lost[#lost + 1] = worker_id end
    end
    redis.call('ZREMRANGEBYSCORE', ns .. ':left', '-inf', int(now - LEFT_MS))
    for _, worker_id in ipairs(redis.call('ZRANGE', ns .. ':left', 0, -1)) do drain(worker_id) end
    for _, worker_id in ipairs(dead) do
        drain(worker_id)
        -- The leases of what was handed to it are those of a dead worker: requeue.lua finds it. If the
        -- worker was only silent, it still holds these leases, and gives them back itself.
        if tonumber(redis.call('ZSCORE', ns .. ':workers', worker_id)) <= now - LISTED_MS then
            redis.call('DEL', ns .. ':handed:' .. worker_id, ns .. ':worker:' .. worker_id)
        end
    end
    redis.call('ZREMRANGEBYSCORE', ns .. ':workers', '-inf', int(now - LISTED_MS))
    for _, queue in ipairs(args.queues) do take_in_delayed(queue) end
    return lost
end

-- args: message_id, letter_id, letter (a JSON object). Keep a message for a person. Returns 1 | 0.
function commands.quarantine()
    local letter = '{"at_ms":' .. int(wall) .. ',' .. string.sub(args.letter, 2)
    redis.call('HSET', ns .. ':quarantine', args.letter_id, letter)
    redis.call('LREM', inflight, 1, args.message_id)
    return redis.call('HDEL', msgs, args.message_id)
end

return commands[args.command]()
