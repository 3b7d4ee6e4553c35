-- In front of every script of the ledger: which refund may start next. lanes.py sets WIDTH and RETRY_FOR_MS above.
--
-- Stores with waiting refunds take turns, one refund each, however many there are. The ring holds the
-- round in which a store has its next turn; the store of the lowest round is next. A store that had
-- a turn goes into the next round, whether it has more work or not. A quiet store that gets work goes
-- ahead of the others, so that it need not wait for them: half a round, or a quarter if it has had its
-- turn in this round, and then not twice in a row while others wait. A store is quiet if its lane is short
-- and at most one of its refunds is in flight. If none could be in flight, one refund that is delayed
-- would send the next ones behind those of the other stores. A store that may not start anything when its turn
-- comes leaves the ring; admit() puts it back.
--
-- A refund starts where a thread is free: when a worker fetches (fetch.lua), or when one is idle.

-- Whether only a newer version of the worker can run a refund: it does not know its state, or would
-- ignore a part of its job.
local function is_newer(id)
    local record = record_of(id)
    local state = record.state
    return state and (not next_transition(state) and not has_ended(state) or tonumber(record.schema or 1) > SCHEMA)
end

-- Whether a person has stopped a refund where it is.
local function is_on_hold(id) return record_of(id).hold ~= nil end

-- The version that a refund needs while it is on hold: one that knows holds, and all that its job asks for.
local function schema_on_hold(id, knows_holds) return math.max(tonumber(record_of(id).schema or 1), knows_holds) end

-- Whether a person has paused a store, or all. The lane is remembered, so that it goes on afterwards.
local function is_paused(store)
    if is_quiet(store) then return false end
    local found = redis.call('HMGET', key('paused'), store, '*')
    if not found[1] and not found[2] then return false end
    redis.call('SADD', key('paused_lanes'), store)
    return true
end

-- Stores that may have something to do: {store: whether a refund was put into its lane by this script}.
local touched = {}

-- Let a store have its turns, if refunds wait in its lane; they start when this script ends.
local function admit(store) touched[store] = touched[store] or false end

-- The round of the last turn; and whether that was one more of a store that had had its turn in this
-- round, which the half of a round stands for in the key.
local last_round, was_extra
local function know_round(text)
    local kept_round = tonumber(text or 0)
    last_round, was_extra = math.floor(kept_round), kept_round % 1 ~= 0
end

local function round()
    if not last_round then know_round(redis.call('GET', key('round'))) end
    return last_round
end

local function keep_round(at, is_extra)
    local before = round() + (was_extra and 0.5 or 0)
    last_round, was_extra = math.max(last_round, math.floor(at)), is_extra
    local after = last_round + (was_extra and 0.5 or 0)
    if after ~= before then redis.call('SET', key('round'), after) end
end

-- The refunds that may wait in the lane of a quiet store, and the refunds in flight.
local SHORT_LANE, SHORT_FLIGHT = 10, 1

-- The place of a store that goes ahead although it has had its turn in the round: behind those that are
-- there already.
local function one_more() return round() - 0.25 + now % 1000000 / 5000000 end
local function is_one_more(at) return at % 1 >= 0.75 end

-- Where in the ring a store belongs; at: where it is, nil if it is not there. A store that went ahead goes
-- back if its lane has grown.
local function place_of(store, at, has_got_work, waiting)
    if waiting > SHORT_LANE then return at and math.ceil(at) or round() end
    if at and (at % 1 ~= 0 or not has_got_work) then return at end
    if redis.call('ZCARD', key('busy', store)) > SHORT_FLIGHT then return at or round() end
    if not at or at <= round() then return round() - 0.5 end
    return one_more()
end

-- Put the touched stores into the ring.
local has_work = false
local function enter_ring()
    local ring = key('ring')
    for store, has_got_work in pairs(touched) do
        local at = has_got_work and tonumber(redis.call('ZSCORE', ring, store) or '')
        -- What was just put into its lane waits there.
        local waiting = has_got_work and not at and 1 or redis.call('ZCARD', key('lane', store))
        if waiting > 0 then
            has_work = true
            at = at or not has_got_work and tonumber(redis.call('ZSCORE', ring, store) or '')
            if not at then redis.call('SADD', key('busy_stores'), store) end
            local place = place_of(store, at, has_got_work, waiting)
            if place ~= at then redis.call('ZADD', ring, place, store) end
        end
    end
    touched = {}
end

-- The store of the next turn and its round, nil if the ring is empty.
local function ring_head()
    local ring = key('ring')
    local head = redis.call('ZRANGE', ring, 0, 0, 'WITHSCORES')
    local at = tonumber(head[2])
    if at and is_one_more(at) and round() and was_extra then
        local other = redis.call('ZRANGEBYSCORE', ring, int(last_round), '+inf', 'WITHSCORES', 'LIMIT', 0, 1)
        if other[1] then return other[1], tonumber(other[2]) end
    end
    return head[1], at
end

-- Whether the next turn is of a store that goes ahead of the others, and of messages that are queued.
local function is_ahead()
    local store, at = ring_head()
    return store and at % 1 ~= 0 and not (is_one_more(at) and was_extra)
end

-- Who holds a refund's order; nil if nobody does. The same command reads the rate of its store, until when it
-- rests (circuit.lua), and the round.
local holders, leases, rests = {}, {}, {}
local function holder_of(id)
    if holders[id] == nil then
        local record = record_of(id)
        local store = record.store_id or ''
        leases[id] = key('lease', store, record.order_id or '')
        local found = redis.call('MGET', leases[id], key('rate', store), key('round'), key('resting', store))
        holders[id], paid[store], rests[store] = found[1], paid[store] or tonumber(found[2] or 0), found[4]
        if not last_round then know_round(found[3]) end
    end
    return holders[id]
end

-- Delete the lease on a refund's order: the one that holder_of looked at, although the script may have
-- changed the order (its number was looked up). Another refund may hold that order, so the next look is
-- a new one.
local function drop_lease(id)
    redis.call('DEL', leases[id])
    holders[id], leases[id] = nil, nil
end

-- The calls of the refunds of a store that start in this script: they are reserved when claimed.
local ahead = {}

-- Take the first refund of a store's lane that may start; nil if the store is suspended, paused, over its
-- rate, rests or has as many refunds in flight as it may.
local function take_first(store)
    local lane, busy = key('lane', store), key('busy', store)
    local id = redis.call('ZRANGE', lane, 0, 0)[1]
    if id then holder_of(id) end
    if not id or is_suspended(store) or is_paused(store)
        or is_paced(store, (ahead[store] or 0) + surplus(calls_of(id)))
        or redis.call('ZCARD', busy) >= width_of(store, rests[store]) then return nil end
    -- Refunds that need a newer version stay in the lane, and the others pass them.
    local passed = 0
    while id do
        if is_newer(id) then
            passed = passed + 1
        else
            redis.call('ZREM', lane, id)
            local state = record_of(id).state
            if is_on_hold(id) then
                redis.call('ZADD', key('on_hold'), now, id)
            elseif next_transition(state) then
                ahead[store] = (ahead[store] or 0) + calls_of(id)
                redis.call('ZADD', busy, now, id)
                return id
            end
        end
        id = redis.call('ZRANGE', lane, passed, passed)[1]
    end
end

-- Give the next store its turn; returns the refund that has a slot now, nil if none may start.
local function take_turn()
    local ring = key('ring')
    while true do
        local store, at = ring_head()
        if not store then return nil end
        local id = take_first(store)
        if id then
            keep_round(at, is_one_more(at))
            -- What was held up goes ahead, too: else each refund that follows would wait as long.
            local goes_on = is_one_more(at) and redis.call('ZCARD', key('lane', store)) > 0
            redis.call('ZADD', ring, goes_on and one_more() or round() + 1, store)
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
    enter_ring()
    if has_work then offer() end
    follow_changes()
    write_rates()
    write_changes()
end

-- Take a refund out of its lane and of all lists of what is due, until a person releases it.
local function set_aside(id, store)
    for _, place in ipairs({key('lane', store), key('busy', store), key('due')}) do redis.call('ZREM', place, id) end
    redis.call('ZADD', key('on_hold'), 'NX', now, id)
    change(id, {due_at_ms = 0})
    admit(store)
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

-- How much longer a refund must not start, because its job says so; 0 if it may.
local function early_by(id) return math.max(0, tonumber(record_of(id).starts_at_ms or 0) - now) end

-- Put a refund into the lane, in order of arrival; one that comes back keeps its place.
local function line_up(id, store)
    if is_on_hold(id) then return set_aside(id, store) end
    if early_by(id) > 0 then return postpone(id, store, early_by(id)) end
    redis.call('ZADD', key('lane', store), record_of(id).arrival, id)
    touched[store] = true
end

-- Give up the slot and go back into the lane.
local function stand_back(id, store)
    redis.call('ZREM', key('busy', store), id)
    line_up(id, store)
end

-- End a store's suspension, if there is one; admit() then starts its lane.
local function release(store, outcome)
    redis.call('ZREM', key('probes'), store)
    if redis.call('DEL', key('suspended', store)) == 1 then publish_store(store, outcome) end
end
