-- Shared by every script of the ledger. KEYS[1] is "{namespace}", ARGV[1] a JSON object of
-- arguments; SOURCE and NEXT (state -> transition due) are set above by scripts.py.
-- Time is the server's, so that a worker's wrong clock cannot move a lease or a due time.

local ns = KEYS[1]
local a = cjson.decode(ARGV[1])
local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)

local function key(...) return ns .. ':' .. table.concat({...}, ':') end
local function int(n) return string.format('%.0f', n) end

-- Append one history line (a JSON object without its time).
local function note(id, line)
    redis.call('RPUSH', key('history', id), '{"at_ms":' .. int(now) .. ',' .. string.sub(line, 2))
end

-- The server's time as ISO 8601 (Howard Hinnant's civil_from_days; the sandbox has no os.date).
local function iso()
    local days, ms = math.floor(now / 86400000), now % 86400000
    local z = days + 719468
    local era = math.floor(z / 146097)
    local doe = z - era * 146097
    local yoe = math.floor((doe - math.floor(doe / 1460) + math.floor(doe / 36524) - math.floor(doe / 146096)) / 365)
    local doy = doe - (365 * yoe + math.floor(yoe / 4) - math.floor(yoe / 100))
    local mp = math.floor((5 * doy + 2) / 153)
    local month = mp < 10 and mp + 3 or mp - 9
    local year = yoe + era * 400 + (month <= 2 and 1 or 0)
    local s = math.floor(ms / 1000)
    return string.format('%04d-%02d-%02dT%02d:%02d:%02d.%03dZ', year, month,
        doy - math.floor((153 * mp + 2) / 5) + 1, math.floor(s / 3600), math.floor(s / 60) % 60, s % 60, ms % 1000)
end

-- Tell upstream: an outcome about a subject, under an id of its own.
local function emit(o, subject, event_id)
    redis.call('XADD', key('outcomes'), '*', 'event', '{"specversion":"1.0","type":"' .. o.type
        .. '","source":"' .. SOURCE .. '","id":"' .. event_id .. '","time":"' .. iso()
        .. '","subject":"' .. subject .. '","datacontenttype":"application/json","data":' .. o.data .. '}')
end

-- a.outcome is what happened to a refund; the id is the refund's version, so that it is one.
local function publish(id)
    if not a.outcome then return end
    emit(a.outcome, id, id .. '/' .. redis.call('HGET', key('refund', id), 'version') .. '/' .. a.outcome.step)
end

-- The same of a store; its events are counted.
local function publish_store(store, o)
    emit(o, store, store .. '/' .. redis.call('HINCRBY', key('store', store), 'events', 1) .. '/' .. o.step)
end

local function is_suspended(store) return redis.call('EXISTS', key('suspended', store)) == 1 end

-- Put a wake-up call for the transition that is due, or for another actor, on the queue of steps.
local function send(id, actor)
    local r = key('refund', id)
    local message_id = id .. '~' .. redis.call('HINCRBY', r, 'wakes', 1)
    local body = cjson.encode({
        queue_name = 'steps', actor_name = actor or NEXT[redis.call('HGET', r, 'state')],
        args = {id}, kwargs = {}, options = {redis_message_id = message_id},
        message_id = message_id, message_timestamp = now,
    })
    redis.call('HSET', r, 'message_id', message_id)
    redis.call('HSET', ns .. ':steps.msgs', message_id, body)
    redis.call('RPUSH', ns .. ':steps', message_id)
end

local function set_state(id, state)
    local r = key('refund', id)
    local old = redis.call('HGET', r, 'state')
    if old then redis.call('ZREM', key('state', old), id) end
    redis.call('HSET', r, 'state', state)
    redis.call('ZADD', key('state', state), redis.call('HGET', r, 'accepted_at_ms'), id)
end

-- Acknowledge the message that brought us here (see queue.lua for the lists).
local function ack()
    if not a.message_id then return end
    -- Only what is still ours: a reclaimed message is in the queue again and keeps its body.
    if redis.call('LREM', key(a.queue, 'inflight', a.worker_id), 1, a.message_id) > 0 then
        redis.call('HDEL', key(a.queue .. '.msgs'), a.message_id)
    end
end

local function is_alive(worker_id)
    local beat = redis.call('ZSCORE', key('workers'), worker_id)
    return beat and tonumber(beat) > now - a.dead_after_ms
end
