-- Shared by every script of the ledger. KEYS[1] is "{namespace}", ARGV[1] a JSON object of
-- arguments; NEXT (state -> transition due) and WIDTH (lane width) are set above by ledger.py.
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

-- Put a wake-up call for the transition that is due on the queue of steps.
local function send(id)
    local r = key('refund', id)
    local message_id = id .. '~' .. redis.call('HINCRBY', r, 'wakes', 1)
    local body = cjson.encode({
        queue_name = 'steps', actor_name = NEXT[redis.call('HGET', r, 'state')],
        args = {id}, kwargs = {}, options = {redis_message_id = message_id},
        message_id = message_id, message_timestamp = now,
    })
    redis.call('HSET', r, 'message_id', message_id)
    redis.call('HSET', ns .. ':steps.msgs', message_id, body)
    redis.call('RPUSH', ns .. ':steps', message_id)
end

-- Let the first of a store's lane go, as long as fewer than WIDTH are in flight.
local function admit(store)
    local lane, busy = key('lane', store), key('busy', store)
    while redis.call('ZCARD', busy) < WIDTH do
        local first = redis.call('ZPOPMIN', lane)
        if not first[1] then break end
        redis.call('ZADD', busy, now, first[1])
        send(first[1])
    end
    if redis.call('ZCARD', busy) > 0 then
        redis.call('SADD', key('busy_stores'), store)
    else
        redis.call('SREM', key('busy_stores'), store)
    end
end

-- Stand in the lane, in order of arrival; a refund that comes back keeps its place.
local function line_up(id, store)
    redis.call('ZADD', key('lane', store), redis.call('HGET', key('refund', id), 'arrival'), id)
    admit(store)
end

-- Leave the lane's slot and come back later.
local function postpone(id, store, in_ms)
    redis.call('ZADD', key('due'), now + in_ms, id)
    redis.call('HSET', key('refund', id), 'due_at_ms', int(now + in_ms))
    redis.call('ZREM', key('busy', store), id)
    admit(store)
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
