-- Shared functions, in front of each script of the ledger, after worker/queue/clock.lua; scripts.py
-- sets SOURCE, STATES, next_transition(state), has_ended(state) and is_mutating(transition) above.

-- The name of a key: of one part, of two or of three. Not by table.concat, since a table costs more than the text.
local function key(a, b, c)
    if c then return ns .. ':' .. a .. ':' .. b .. ':' .. c end
    if b then return ns .. ':' .. a .. ':' .. b end
    return ns .. ':' .. a
end

-- A JSON object as a table; empty if it is none.
local function decoded(text)
    local is_fine, found = pcall(cjson.decode, text or '')
    return is_fine and type(found) == 'table' and found or {}
end

-- A worker names the installation that it belongs to. In any other ledger it does nothing. Only its own can have the
-- claim of a step (args.fence), so such a script looks for that first, and asks if it does not find it.
local function other_ledger()
    local ours = args.installation
    if not ours or redis.call('HGET', key('installation'), 'id') == ours then return nil end
    return redis.error_reply('OTHERLEDGER this ledger does not belong to the installation ' .. ours)
end
if not args.fence and other_ledger() then return other_ledger() end

-- The records that this script has read, and the fields that it changes. They are written when it
-- ends, so that a record costs one command to read and one to write.
local records, replies = {}, {}
local changes, removals = {}, {}

-- The fields of a refund's record: {field: text}; empty if there is none.
local function record_of(id)
    if not records[id] then
        local fields, flat = {}, redis.call('HGETALL', key('refund', id))
        for place = 1, #flat, 2 do fields[flat[place]] = flat[place + 1] end
        records[id], replies[id] = fields, flat
    end
    return records[id]
end

-- Change fields of a refund's record: {field: text or whole number}.
local function change(id, fields)
    local record = record_of(id)
    changes[id] = changes[id] or {}
    for field, value in pairs(fields) do
        if type(value) == 'number' then value = int(value) end
        record[field], changes[id][field] = value, value
        if removals[id] then removals[id][field] = nil end
    end
end

-- Remove fields of a refund's record.
local function remove(id, ...)
    for _, field in ipairs({...}) do
        if record_of(id)[field] ~= nil then
            record_of(id)[field], (changes[id] or {})[field] = nil, nil
            removals[id] = removals[id] or {}
            removals[id][field] = true
        end
    end
end

-- Forget what was changed in a record, because the rest of the change failed.
local function forget_changes(id) records[id], changes[id], removals[id] = nil, nil, nil end

-- Write what was changed.
local function write_changes()
    for id, fields in pairs(removals) do
        local names = {}
        for field in pairs(fields) do names[#names + 1] = field end
        if #names > 0 then redis.call('HDEL', key('refund', id), unpack(names)) end
    end
    for id, fields in pairs(changes) do
        local flat, size = {}, 0
        for field, value in pairs(fields) do
            flat[size + 1], flat[size + 2], size = field, value, size + 2
        end
        if size > 0 then redis.call('HSET', key('refund', id), unpack(flat)) end
    end
end

-- Append history lines (JSON objects without their time).
local function note(id, ...)
    local lines = {}
    for place, line in ipairs({...}) do lines[place] = '{"at_ms":' .. int(wall) .. ',' .. string.sub(line, 2) end
    if #lines > 0 then redis.call('RPUSH', key('history', id), unpack(lines)) end
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

-- Append an outcome to the stream that upstream reads; all of a script have the same time.
local emitted_at
local function emit(outcome, subject, event_id)
    emitted_at = emitted_at or iso()
    redis.call('XADD', key('outcomes'), '*', 'event', '{"specversion":"1.0","type":"' .. outcome.type
        .. '","source":"' .. SOURCE .. '","id":"' .. event_id .. '","time":"' .. emitted_at
        .. '","subject":"' .. subject .. '","datacontenttype":"application/json","data":' .. outcome.data .. '}')
end

-- Write the outcomes of these arguments, if there are any. The id holds the refund's version and the
-- step that caused the event, so that it is unique.
local function publish(id, given)
    for _, name in ipairs({'outcome', 'also'}) do
        local outcome = given[name]
        if outcome then emit(outcome, id, id .. '/' .. record_of(id).version .. '/' .. outcome.step) end
    end
end

-- Append an outcome about a store; the number of the store's events makes its id unique.
local function publish_store(store, outcome)
    local number = redis.call('HINCRBY', key('store', store), 'events', 1)
    emit(outcome, store, store .. '/' .. number .. '/' .. outcome.step)
end

-- Whether nothing holds a store back: it is not suspended, nothing is paused, and the circuit is closed. Most
-- stores need one command for this. A script that suspends a store forgets what it found.
local quiet = {}
local function is_quiet(store)
    if quiet[store] == nil then
        quiet[store] = redis.call('EXISTS', key('suspended', store), key('paused'), key('outage')) == 0
    end
    return quiet[store]
end

local function is_suspended(store)
    return not is_quiet(store) and redis.call('EXISTS', key('suspended', store)) == 1
end

-- Record that args.accepted_endpoints of Wix have accepted the store's key, unless they did a moment ago.
-- What a step reports about a key that has been replaced since, or suspended, is ignored.
local MOMENT_MS = 10000
local function record_accepted(store)
    local endpoints, flat, is_news = args.accepted_endpoints, {}, false
    if #endpoints == 0 then return end
    local known = redis.call('HMGET', key('worked', store), unpack(endpoints))
    for place, endpoint in ipairs(endpoints) do
        flat[#flat + 1] = endpoint
        flat[#flat + 1] = int(now)
        is_news = is_news or now - tonumber(known[place] or 0) > MOMENT_MS
    end
    if not is_news then return end
    if args.epoch and (redis.call('HGET', key('store', store), 'epoch') or '0') ~= args.epoch then return end
    redis.call('HSET', key('worked', store), unpack(flat))
    redis.call('HDEL', key('lacking', store), unpack(args.accepted_endpoints))
end

-- Write a message for a refund's next transition; returns its id.
local function write_message(id)
    local record = record_of(id)
    local wakes = tonumber(record.wakes or 0) + 1
    local message_id = id .. '~' .. wakes
    change(id, {wakes = wakes, message_id = message_id})
    redis.call('HSET', ns .. ':steps.msgs', message_id, cjson.encode({
        queue_name = 'steps', actor_name = next_transition(record.state),
        args = {id}, kwargs = {}, options = {redis_message_id = message_id},
        message_id = message_id, message_timestamp = now,
    }))
    return message_id
end

-- Enqueue such a message.
local function send(id) redis.call('RPUSH', ns .. ':steps', write_message(id)) end

-- Remove the hold of a refund; only workers that know holds left it alone.
local function lift_hold(id)
    local before = record_of(id).schema_before_hold
    -- A record of the first version has no schema.
    if before == '' then remove(id, 'schema') elseif before then change(id, {schema = before}) end
    remove(id, 'hold', 'hold_at_ms', 'schema_before_hold')
end

-- Set a refund's state and list it under that state.
local function set_state(id, state)
    local record = record_of(id)
    if record.state == state then return end
    if record.state then redis.call('ZREM', key('state', record.state), id) end
    change(id, {state = state})
    redis.call('ZADD', key('state', state), record.accepted_at_ms, id)
    -- What has finished is packed soon (pack.lua).
    if has_ended(state) and state ~= 'dead' then redis.call('SADD', key('unpacked'), id) end
    -- What has ended has nothing left to stop.
    if has_ended(state) and record.hold then
        lift_hold(id)
        redis.call('ZREM', key('on_hold'), id)
    end
end

-- Acknowledge messages that this worker still has in flight: a reclaimed one is in the queue again and
-- keeps its body.
local function acknowledge(message_ids)
    local inflight, msgs = key(args.queue, 'inflight', args.worker_id), key(args.queue .. '.msgs')
    if #message_ids == 1 then
        if redis.call('LREM', inflight, 1, message_ids[1]) > 0 then redis.call('HDEL', msgs, message_ids[1]) end
        return
    end
    local is_done, done, others = {}, {}, {}
    for _, message_id in ipairs(message_ids) do is_done[message_id] = true end
    for _, message_id in ipairs(redis.call('LRANGE', inflight, 0, -1)) do
        table.insert(is_done[message_id] and done or others, message_id)
    end
    if #done == 0 then return end
    redis.call('DEL', inflight)
    if #others > 0 then redis.call('RPUSH', inflight, unpack(others)) end
    redis.call('HDEL', msgs, unpack(done))
end

-- Acknowledge the message that this script runs for.
local function ack()
    if args.message_id and not args.is_handed then acknowledge({args.message_id}) end
end

-- Whether a worker's heartbeat is fresh.
local function is_alive(worker_id)
    local beat = redis.call('ZSCORE', key('workers'), worker_id)
    return beat and tonumber(beat) > now - args.dead_after_ms
end

-- Whether a living worker holds this refund and its order's lease.
local function is_held(id)
    local record = record_of(id)
    local held_by = record.held_by
    return held_by and redis.call('GET', key('lease', record.store_id, record.order_id)) == held_by
        and is_alive(string.match(held_by, '^[^|]+'))
end

-- How long nothing is changed at Wix for an order yet, because the server may have forgotten a call; and
-- whether that may end sooner, when the workers have vouched.
local SOON_MS, GRACE_MS = 1000, 2000
local function held_back_ms(store, order)
    local since, is_early = server_lost_writes_at()
    if is_early then return SOON_MS, true end
    local settle = args.settle_delay_ms
    local left = since + settle - now
    if since > 0 and left > 0 then
        if not was_asked(since) then return left, false end
        local nobody = tonumber(redis.call('ZSCORE', key('unvouched'), '*') or 0) + settle - now
        if nobody > 0 then return nobody, false end
        local is_unvouched = redis.call('ZCOUNT', key('unvouched'), '(' .. int(now - settle), '+inf') > 0
        -- A living worker that the data does not know gets the time of a heartbeat to name its calls.
        if is_unvouched or now < since + math.min(GRACE_MS, settle / 10) then
            return math.min(left, math.max(SOON_MS, now - since)), true
        end
    end
    if tonumber(kept[8] or 0) <= now then return 0, false end
    return math.max(0, tonumber(redis.call('ZSCORE', key('doubted'), store .. '|' .. order) or 0) - now), false
end

-- When the server lost writes, if what followed the last commit of a refund may have been among them, else
-- nil. A job that arrives soon after may be one that was forgotten.
local function may_have_forgotten(id)
    local lost_at, committed_at = server_lost_writes_at(), tonumber(record_of(id).committed_at_ms or 0)
    local is_possible = committed_at <= lost_at or now < lost_at + args.settle_delay_ms
    return lost_at > 0 and is_possible and lost_at or nil
end

-- The ids of the messages for steps, queued or in flight: {id: true}. The list is short; of one that an
-- older version made long, only the beginning is read, and a message with a text counts as queued.
local LONGEST_READ = 10000
local function step_messages()
    local found, list = {}, ns .. ':steps'
    local function collect(name)
        for _, message_id in ipairs(redis.call('LRANGE', name, 0, LONGEST_READ - 1)) do found[message_id] = true end
    end
    collect(list)
    found.is_partial = redis.call('LLEN', list) > LONGEST_READ
    for _, worker_id in ipairs(redis.call('ZRANGE', key('workers'), 0, -1)) do
        collect(key('steps', 'inflight', worker_id))
    end
    return found
end

-- Whether a refund that has a slot is lost: none of these messages is its own, and no living worker
-- holds it.
local function is_lost(id, messages)
    local message_id = record_of(id).message_id
    if message_id and messages[message_id] then return false end
    local is_kept = message_id and messages.is_partial and redis.call('HEXISTS', ns .. ':steps.msgs', message_id) == 1
    return not is_kept and not is_held(id)
end
