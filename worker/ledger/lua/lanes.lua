-- In front of every script of the ledger: which refund of a store may start next.
-- lanes.py sets WIDTH above.

-- Whether only a newer version of the worker can run a refund: it does not know its state, or would
-- ignore a part of its job.
local function is_newer(id)
    local known = redis.call('HMGET', key('refund', id), 'state', 'schema')
    local state = known[1]
    return state and (not NEXT[state] and not ENDED[state] or tonumber(known[2] or 1) > SCHEMA)
end

-- Start the first refunds of a store's lane, as long as fewer than WIDTH are in flight, and unless
-- the store is suspended or over its rate.
local function admit(store)
    local lane, busy = key('lane', store), key('busy', store)
    local held = is_suspended(store)
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
            if NEXT[state] then
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

-- Put a refund into the lane, in order of arrival; one that comes back keeps its place.
local function line_up(id, store)
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
