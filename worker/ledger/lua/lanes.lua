-- In front of every script of the ledger: which refund of a store may start next.
-- lanes.py sets WIDTH, PER_CALL_MS and BURST_MS above.

-- Spread calls to Wix over time (generic cell rate algorithm): rate:STORE is when the calls that
-- were made so far are paid off.
local function charge(store, calls)
    if PER_CALL_MS == 0 or calls == 0 then return end
    local paid_at = math.max(tonumber(redis.call('GET', key('rate', store)) or 0), now) + calls * PER_CALL_MS
    redis.call('SET', key('rate', store), int(paid_at), 'PX', int(paid_at - now))
end

-- Whether a store is over its rate; if so, wake.lua lets its lane continue when it is not.
local function is_paced(store)
    local early_ms = tonumber(redis.call('GET', key('rate', store)) or 0) - now - BURST_MS
    if early_ms <= 0 then return false end
    redis.call('ZADD', key('paced'), now + early_ms, store)
    return true
end

-- Let no refund of a store start for a while, as if it were over its rate.
local function pause(store, in_ms)
    local paid_at = math.max(tonumber(redis.call('GET', key('rate', store)) or 0), now + in_ms + BURST_MS)
    redis.call('SET', key('rate', store), int(paid_at), 'PX', int(paid_at - now))
end

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
    local held = is_suspended(store) or is_paced(store)
    -- Refunds that need a newer version stay in the lane, and the others pass them.
    local passed = 0
    while not held and redis.call('ZCARD', busy) < WIDTH do
        local first = redis.call('ZRANGE', lane, passed, passed)[1]
        if not first then break end
        if is_newer(first) then
            passed = passed + 1
        else
            redis.call('ZREM', lane, first)
            if NEXT[redis.call('HGET', key('refund', first), 'state')] then
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
