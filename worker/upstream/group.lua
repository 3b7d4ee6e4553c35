-- Hand the events of the stream to the consumers of a group. While an event of a refund is not
-- acknowledged, the next events of this refund go to the same consumer: so their order is kept. Upstream
-- runs this script, so it touches nothing but the outcomes: see "Who may do what" in
-- worker/operations/README.md.
-- KEYS: stream; owners (HASH: subject -> consumer, "SUBJECT/left" -> how many events are not acknowledged);
--       beats (ZSET: consumer -> when it was last heard of).
-- ARGV: command, group, consumer, and the command's own, see each below.
local stream, owners, beats = KEYS[1], KEYS[2], KEYS[3]
local group, me = ARGV[2], ARGV[3]
local clock = redis.call('TIME')
local now = string.format('%.0f', clock[1] * 1000 + math.floor(clock[2] / 1000))
-- How many events one call takes over from a silent consumer.
local PER_CALL = 200

-- The subject comes before the data of an event, and holds no quotation mark.
local function subject_of(event) return string.match(event, '"subject":"([^"]*)"') or '' end

local function event_of(id)
    local entry = redis.call('XRANGE', stream, id, id)[1]
    return entry and entry[2][2]
end

-- The events that a consumer has not acknowledged, the oldest first.
local function pending(consumer, count)
    local ids = {}
    for place, entry in ipairs(redis.call('XPENDING', stream, group, '-', '+', count, consumer)) do
        ids[place] = entry[1]
    end
    return ids
end

-- The consumer that has earlier events of a subject; nil if none has, or it is gone.
local function owner_of(subject)
    local owner = redis.call('HGET', owners, subject)
    return owner and redis.call('ZSCORE', beats, owner) and owner or nil
end

local function give(id, consumer) redis.call('XCLAIM', stream, group, consumer, 0, id, 'JUSTID') end

-- Take over the events of a consumer that is silent.
local function inherit(silent)
    for _, id in ipairs(pending(silent, PER_CALL)) do
        local event = event_of(id)
        if event then
            local subject = subject_of(event)
            local owner = owner_of(subject)
            if not owner or owner == silent then
                owner = me
                redis.call('HSET', owners, subject, me)
            end
            give(id, owner)
        else
            -- It was trimmed off the stream.
            redis.call('XACK', stream, group, id)
        end
    end
    if #pending(silent, 1) == 0 then
        redis.call('ZREM', beats, silent)
        redis.call('XGROUP', 'DELCONSUMER', stream, group, silent)
    end
end

local commands = {}

-- ARGV: silent_ms; wanted; ids that the consumer knows already.
-- Returns {id of the stream's last entry, whether to ask again at once, id, event, id, event, ...}.
function commands.take()
    local silent_ms, wanted, known = tonumber(ARGV[4]), tonumber(ARGV[5]), {}
    for place = 6, #ARGV do known[ARGV[place]] = true end
    redis.call('ZADD', beats, now, me)
    for _, info in ipairs(redis.call('XINFO', 'CONSUMERS', stream, group)) do
        -- {'name', NAME, 'pending', COUNT, ...}: one that somebody else made is heard of now.
        if info[4] > 0 then redis.call('ZADD', beats, 'NX', now, info[2]) end
    end
    for _, silent in ipairs(redis.call('ZRANGEBYSCORE', beats, '-inf', now - silent_ms)) do
        if silent ~= me then inherit(silent) end
    end
    local last = redis.call('XREVRANGE', stream, '+', '-', 'COUNT', 1)[1]
    local found, is_more = {last and last[1] or '0', 0}, 0
    local function add(id, event)
        found[#found + 1] = id
        found[#found + 1] = event
        wanted = wanted - 1
    end
    for _, id in ipairs(pending(me, wanted + #ARGV)) do
        if not known[id] and wanted > 0 then
            local event = event_of(id)
            if event then add(id, event) else redis.call('XACK', stream, group, id) end
        end
    end
    local read = wanted > 0 and redis.call('XREADGROUP', 'GROUP', group, me, 'COUNT', wanted, 'STREAMS', stream, '>')
    for _, entry in ipairs(read and read[1][2] or {}) do
        local id, event = entry[1], entry[2][2]
        local subject = subject_of(event)
        local owner = owner_of(subject) or me
        redis.call('HINCRBY', owners, subject .. '/left', 1)
        if owner == me then
            redis.call('HSET', owners, subject, me)
            add(id, event)
        else
            give(id, owner)
            is_more = 1
        end
    end
    found[2] = is_more
    return found
end

-- ARGV: id, subject, id, subject, ... Acknowledge events. Returns how many were not acknowledged before.
function commands.acknowledge()
    redis.call('ZADD', beats, now, me)
    local count = 0
    for place = 4, #ARGV, 2 do
        local id, subject = ARGV[place], ARGV[place + 1]
        if redis.call('XACK', stream, group, id) == 1 then
            count = count + 1
            if redis.call('HINCRBY', owners, subject .. '/left', -1) <= 0 then
                redis.call('HDEL', owners, subject, subject .. '/left')
            end
        end
    end
    return count
end

-- What this consumer has not acknowledged may be taken over at once. Returns 1.
function commands.leave()
    redis.call('ZADD', beats, 'XX', 0, me)
    return 1
end

return commands[ARGV[1]]()
