-- In front of every script of the ledger: which refund may start next. lanes.py sets WIDTH above.
--
-- Stores with waiting refunds take turns, one refund each, however many there are. The ring holds the
-- round in which a store has its next turn; the store of the lowest round is next. A store that had
-- a turn goes into the next round, whether it has more work or not. One that comes into the ring with
-- nothing in flight goes half a round ahead of the others, once in a round: a quiet store need not
-- wait for them. A store that may not start anything when its turn comes leaves the ring; admit()
-- puts it back.
--
-- A refund starts where a thread is free: when a worker fetches (fetch.lua), or when one is idle.

-- Whether only a newer version of the worker can run a refund: it does not know its state, or would
-- ignore a part of its job.
local function is_newer(id)
    local record = record_of(id)
    local state = record.state
    return state and (not NEXT[state] and not ENDED[state] or tonumber(record.schema or 1) > SCHEMA)
end

-- Whether a person has stopped a refund where it is.
local function is_on_hold(id) return record_of(id).hold ~= nil end

-- Whether a person has paused a store, or all. The lane is remembered, so that it goes on afterwards.
local function is_paused(store)
    local found = redis.call('HMGET', key('paused'), store, '*')
    if not found[1] and not found[2] then return false end
    redis.call('SADD', key('paused_lanes'), store)
    return true
end

-- Stores that may have got something to do in this script: {store: true}.
local touched = {}

-- Let a store have its turns, if refunds wait in its lane; they start when this script ends.
local function admit(store) touched[store] = true end

-- The round of the last turn.
local last_round
local function round()
    last_round = last_round or tonumber(redis.call('GET', key('round')) or 0)
    return last_round
end

-- Put the touched stores into the ring.
local function enter_ring()
    local ring, is_entered = key('ring'), false
    for store in pairs(touched) do
        if redis.call('ZCARD', key('lane', store)) > 0 then
            is_entered = true
            if not redis.call('ZSCORE', ring, store) then
                local at = round()
                if redis.call('ZCARD', key('busy', store)) == 0 then at = at - 0.5 end
                redis.call('ZADD', ring, at, store)
                redis.call('SADD', key('busy_stores'), store)
            end
        end
    end
    touched = {}
    return is_entered
end

-- Whether the next turn is of a store that goes ahead of the others.
local function is_ahead()
    local head = redis.call('ZRANGE', key('ring'), 0, 0, 'WITHSCORES')
    return head[1] and tonumber(head[2]) < round()
end

-- The calls of the refunds of a store that start in this script: they are reserved when claimed.
local ahead = {}

-- Take the first refund of a store's lane that may start; nil if the store is suspended, paused, over its
-- rate or has WIDTH refunds in flight.
local function take_first(store)
    local lane, busy = key('lane', store), key('busy', store)
    if is_suspended(store) or is_paused(store) or is_paced(store, ahead[store] or 0)
        or redis.call('ZCARD', busy) >= WIDTH then return nil end
    -- Refunds that need a newer version stay in the lane, and the others pass them.
    local passed = 0
    while true do
        local id = redis.call('ZRANGE', lane, passed, passed)[1]
        if not id then return nil end
        if is_newer(id) then
            passed = passed + 1
        else
            redis.call('ZREM', lane, id)
            local state = record_of(id).state
            if is_on_hold(id) then
                redis.call('ZADD', key('on_hold'), now, id)
            elseif NEXT[state] then
                ahead[store] = (ahead[store] or 0) + CALLS[state]
                redis.call('ZADD', busy, now, id)
                return id
            end
        end
    end
end

-- Give the next store its turn; returns the refund that has a slot now, nil if none may start.
local function take_turn()
    local ring = key('ring')
    while true do
        local head = redis.call('ZRANGE', ring, 0, 0, 'WITHSCORES')
        if not head[1] then return nil end
        local store, at = head[1], tonumber(head[2])
        local id = take_first(store)
        if id then
            if at > round() then
                last_round = at
                redis.call('SET', key('round'), at)
            end
            redis.call('ZADD', ring, math.floor(round()) + 1, store)
            return id
        end
        redis.call('ZREM', ring, store)
    end
end

-- Queue a refund for each worker that found nothing, and waits (fetch.lua).
local function offer()
    local idle = redis.call('ZCOUNT', key('idle'), int(now), '+inf')
    local queued = idle > 0 and redis.call('LLEN', ns .. ':steps') or 0
    while queued < idle do
        local id = take_turn()
        if not id then return end
        send(id)
        queued = queued + 1
    end
end

-- At the end of each script (scripts.py).
local function finish()
    if enter_ring() then offer() end
    follow_changes()
    write_changes()
end

-- Take a refund out of all lines, until a person releases it.
local function set_aside(id, store)
    for _, place in ipairs({key('lane', store), key('busy', store), key('due')}) do redis.call('ZREM', place, id) end
    redis.call('ZADD', key('on_hold'), 'NX', now, id)
    change(id, {due_at_ms = 0})
    admit(store)
end

-- Put a refund into the lane, in order of arrival; one that comes back keeps its place.
local function line_up(id, store)
    if is_on_hold(id) then return set_aside(id, store) end
    redis.call('ZADD', key('lane', store), record_of(id).arrival, id)
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
    change(id, {due_at_ms = now + in_ms})
    redis.call('ZREM', key('busy', store), id)
    admit(store)
end

-- End a store's suspension, if there is one; admit() then starts its lane.
local function release(store, outcome)
    redis.call('ZREM', key('probes'), store)
    if redis.call('DEL', key('suspended', store)) == 1 then publish_store(store, outcome) end
end
