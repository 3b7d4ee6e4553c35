-- Shared functions, in front of each script of the ledger, after worker/queue/clock.lua; scripts.py
-- sets SOURCE and NEXT (state -> next transition) above.

local function key(...) return ns .. ':' .. table.concat({...}, ':') end

-- A worker names the installation that it belongs to. In any other ledger it does nothing.
if args.installation and redis.call('HGET', key('installation'), 'id') ~= args.installation then
    return redis.error_reply('OTHERLEDGER this ledger does not belong to the installation ' .. args.installation)
end

-- Append one history line (a JSON object without its time).
local function note(id, line)
    redis.call('RPUSH', key('history', id), '{"at_ms":' .. int(wall) .. ',' .. string.sub(line, 2))
end

-- The server's time as ISO 8601 (Howard Hinnant's civil_from_days; the sandbox has no os.date).
local function iso()
    local days, ms = math.floor(wall / 86400000), wall % 86400000
    -- The year starts in March, so that the leap day is its last.
    local shifted = days + 719468
    local era = math.floor(shifted / 146097)
    local day_of_era = shifted - era * 146097
    local year_of_era = math.floor((day_of_era - math.floor(day_of_era / 1460)
        + math.floor(day_of_era / 36524) - math.floor(day_of_era / 146096)) / 365)
    local day_of_year = day_of_era - (365 * year_of_era + math.floor(year_of_era / 4) - math.floor(year_of_era / 100))
    local from_march = math.floor((5 * day_of_year + 2) / 153)
    local month = from_march < 10 and from_march + 3 or from_march - 9
    local year = year_of_era + era * 400 + (month <= 2 and 1 or 0)
    local day = day_of_year - math.floor((153 * from_march + 2) / 5) + 1
    local seconds = math.floor(ms / 1000)
    return string.format('%04d-%02d-%02dT%02d:%02d:%02d.%03dZ', year, month, day,
        math.floor(seconds / 3600), math.floor(seconds / 60) % 60, seconds % 60, ms % 1000)
end

-- Append an outcome to the stream that upstream reads.
local function emit(outcome, subject, event_id)
    redis.call('XADD', key('outcomes'), '*', 'event', '{"specversion":"1.0","type":"' .. outcome.type
        .. '","source":"' .. SOURCE .. '","id":"' .. event_id .. '","time":"' .. iso()
        .. '","subject":"' .. subject .. '","datacontenttype":"application/json","data":' .. outcome.data .. '}')
end

-- Write args.outcome, and args.also, if there are any. The id holds the refund's version and the
-- step that caused the event, so that it is unique.
local function publish(id)
    local version = redis.call('HGET', key('refund', id), 'version')
    for _, name in ipairs({'outcome', 'also'}) do
        local outcome = args[name]
        if outcome then emit(outcome, id, id .. '/' .. version .. '/' .. outcome.step) end
    end
end

-- Append an outcome about a store; the number of the store's events makes its id unique.
local function publish_store(store, outcome)
    local number = redis.call('HINCRBY', key('store', store), 'events', 1)
    emit(outcome, store, store .. '/' .. number .. '/' .. outcome.step)
end

local function is_suspended(store) return redis.call('EXISTS', key('suspended', store)) == 1 end

-- Record that args.accepted_endpoints of Wix have accepted the store's key.
local function record_accepted(store)
    for _, endpoint in ipairs(args.accepted_endpoints) do
        redis.call('HSET', key('worked', store), endpoint, int(now))
        redis.call('HDEL', key('lacking', store), endpoint)
    end
end

-- Enqueue a message for a refund's next transition.
local function send(id)
    local record = key('refund', id)
    local message_id = id .. '~' .. redis.call('HINCRBY', record, 'wakes', 1)
    local body = cjson.encode({
        queue_name = 'steps', actor_name = NEXT[redis.call('HGET', record, 'state')],
        args = {id}, kwargs = {}, options = {redis_message_id = message_id},
        message_id = message_id, message_timestamp = now,
    })
    redis.call('HSET', record, 'message_id', message_id)
    redis.call('HSET', ns .. ':steps.msgs', message_id, body)
    redis.call('RPUSH', ns .. ':steps', message_id)
end

-- Set a refund's state and list it under that state.
local function set_state(id, state)
    local record = key('refund', id)
    local old = redis.call('HGET', record, 'state')
    if old then redis.call('ZREM', key('state', old), id) end
    redis.call('HSET', record, 'state', state)
    redis.call('ZADD', key('state', state), redis.call('HGET', record, 'accepted_at_ms'), id)
    -- What has ended has nothing left to stop.
    if ENDED[state] and redis.call('HDEL', record, 'hold', 'hold_at_ms') > 0 then redis.call('ZREM', key('on_hold'), id) end
end

-- Acknowledge the message that this script runs for, if this worker still has it in flight: a
-- reclaimed message is in the queue again and keeps its body.
local function ack()
    if not args.message_id then return end
    if redis.call('LREM', key(args.queue, 'inflight', args.worker_id), 1, args.message_id) > 0 then
        redis.call('HDEL', key(args.queue .. '.msgs'), args.message_id)
    end
end

-- Whether a worker's heartbeat is fresh.
local function is_alive(worker_id)
    local beat = redis.call('ZSCORE', key('workers'), worker_id)
    return beat and tonumber(beat) > now - args.dead_after_ms
end

-- Whether a living worker holds this refund and its order's lease.
local function is_held(record, store)
    local held_by = redis.call('HGET', record, 'held_by')
    local lease = key('lease', store, redis.call('HGET', record, 'order_id'))
    return held_by and redis.call('GET', lease) == held_by and is_alive(string.match(held_by, '^[^|]+'))
end

-- When the server was last found to be another one than the ledger remembers, by the ledger's clock;
-- 0 for never. A server that restarted, or another one after a failover, may have lost its last
-- writes: among them an intent whose call is still on its way to Wix. Until such a call can no longer
-- take effect, nothing is changed at Wix. A new ledger has nothing to lose; each tick looks, so that
-- every other one knows its server.
local function server_lost_writes_at()
    local server = string.match(redis.call('INFO', 'server'), 'run_id:(%w+)')
    local known = redis.call('HMGET', key('clock'), 'run_id', 'doubt_ms')
    local doubt = tonumber(known[2] or 0)
    if known[1] ~= server then
        if known[1] then doubt = now end
        redis.call('HSET', key('clock'), 'run_id', server, 'doubt_ms', int(doubt))
    end
    return doubt
end

-- The ids of all messages for steps, queued or in flight: {id: true}.
local function step_messages()
    local found = {}
    local function collect(list)
        for _, message_id in ipairs(redis.call('LRANGE', list, 0, -1)) do found[message_id] = true end
    end
    collect(ns .. ':steps')
    for _, worker_id in ipairs(redis.call('ZRANGE', key('workers'), 0, -1)) do
        collect(key('steps', 'inflight', worker_id))
    end
    return found
end

-- Whether a refund that has a slot is lost: none of these messages is its own, and no living worker
-- holds it.
local function is_lost(record, store, messages)
    local message_id = redis.call('HGET', record, 'message_id')
    return not (message_id and messages[message_id]) and not is_held(record, store)
end
