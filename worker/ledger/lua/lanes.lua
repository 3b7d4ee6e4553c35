-- In front of every script of the ledger: which refund of a store may start next.
-- lanes.py sets WIDTH above.

-- Whether only a newer version of the worker can run a refund: it does not know its state, or would
-- ignore a part of its job.
local function is_newer(id)
    local known = redis.call('HMGET', key('refund', id), 'state', 'schema')
    local state = known[1]
    return state and (not NEXT[state] and not ENDED[state] or tonumber(known[2] or 1) > SCHEMA)
end

-- Whether a person has stopped a refund where it is.
local function is_on_hold(id) return redis.call('HEXISTS', key('refund', id), 'hold') == 1 end

-- Whether a person has paused a store, or all. The lane is remembered, so that it goes on afterwards.
local function is_paused(store)
    local found = redis.call('HMGET', key('paused'), store, '*')
    if not found[1] and not found[2] then return false end
    redis.call('SADD', key('paused_lanes'), store)
    return true
end

-- Start the first refunds of a store's lane, as long as fewer than WIDTH are in flight, and unless
-- the store is suspended, paused or over its rate.
local function admit(store)
    local lane, busy = key('lane', store), key('busy', store)
    local held = is_suspended(store) or is_paused(store)
    -- Refunds that need a newer version stay in the lane, and the others pass them. The calls of those
    -- that start here are reserved when they are claimed.
    local passed, ahead = 0, 0
    while not held and redis.call('ZCARD', busy) < WIDTH do
        local first = redis.call('ZRANGE', lane, passed, passed)[1]
        if not first or is_paced(store, ahead) then break end
        if is_newer(first) then
            passed = passed + 1
        else
            redis.call('ZREM', lane, first)
            local state = redis.call('HGET', key('refund', first), 'state')
            if is_on_hold(first) then
                redis.call('ZADD', key('on_hold'), now, first)
            elseif NEXT[state] then
                ahead = ahead + CALLS[state]
                redis.call('ZADD', busy, now, first)
                send(first)
            end
        end
    end
    -- A newer worker finds them there, when it leads (requeue.lua).
    if redis.call('ZCARD', busy) > 0 or passed > 0 then
        redis.call('SADD', key('busy_stores'), store)
    else
        redis.call('SREM', key('busy_stores'), store)
    end
end

-- Take a refund out of all lines, until a person releases it.
local function set_aside(id, store)
    for _, place in ipairs({key('lane', store), key('busy', store), key('due')}) do redis.call('ZREM', place, id) end
    redis.call('ZADD', key('on_hold'), 'NX', now, id)
    redis.call('HSET', key('refund', id), 'due_at_ms', 0)
    admit(store)
end

-- Put a refund into the lane, in order of arrival; one that comes back keeps its place.
local function line_up(id, store)
    if is_on_hold(id) then return set_aside(id, store) end
    redis.call('ZADD', key('lane', store), redis.call('HGET', key('refund', id), 'arrival'), id)
    admit(store)
end

-- Give up the slot and go back into the lane.
local function stand_back(id, store)
    redis.call('ZREM', key('busy', store), id)
    line_up(id, store)
end

-- Give up the slot, or the place in the lane, and come back later.
local function postpone(id, store, in_ms)
    if is_on_hold(id) then return set_aside(id, store) end
    redis.call('ZREM', key('lane', store), id)
    redis.call('ZADD', key('due'), now + in_ms, id)
    redis.call('HSET', key('refund', id), 'due_at_ms', int(now + in_ms))
    redis.call('ZREM', key('busy', store), id)
    admit(store)
end

-- End a store's suspension, if there is one; admit() then starts its lane.
local function release(store, outcome)
    redis.call('ZREM', key('probes'), store)
    if redis.call('DEL', key('suspended', store)) == 1 then publish_store(store, outcome) end
end
