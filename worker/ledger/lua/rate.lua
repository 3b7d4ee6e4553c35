-- In front of every script of the ledger, before lanes.lua: how many calls a store may make to Wix.
-- rate.py sets PER_CALL_MS, BURST_MS and MORE_CALLS above, and expected_calls(state), the calls that its next
-- transition is expected to make; scripts.py puts in the numbers of THROTTLED.
--
-- Calls are spread over time (generic cell rate algorithm): rate:STORE is when the calls that were
-- reserved so far are paid off. A step may start while that is at most BURST_MS ahead, one of more calls
-- than 1 + MORE_CALLS not before the surplus is paid off, too. So no step ends further ahead than BURST_MS and
-- 1 + MORE_CALLS calls.

-- What this script has read or set: {store: ms}.
local paid = {}
local function paid_at(store)
    paid[store] = paid[store] or tonumber(redis.call('GET', key('rate', store)) or 0)
    return paid[store]
end

-- It is written when the script ends.
local set_rates = {}
local function set_paid_at(store, at) paid[store], set_rates[store] = at, true end

-- The part of the rate that a store has left after Wix throttled it: it grows back slowly; and when its pause
-- ends.
local shares, pause_ends = {}, {}
local function share_of(store)
    if not shares[store] then
        local known = redis.call('HMGET', key('throttled', store), 'share', 'from_ms')
        pause_ends[store] = tonumber(known[2] or 0)
        local grown = known[1] and known[1] + math.max(0, now - known[2]) / THROTTLED.RECOVER_MS
        shares[store] = math.min(1, grown or 1)
    end
    return shares[store]
end

-- Write what was set. The key outlives its use by a minute, as the server's clock may step; then Wix counts
-- none of these calls any more, so a step of many calls may start. And it outlives the share of a store
-- that was throttled, which is looked for only where there is this key.
local function write_rates()
    for store in pairs(set_rates) do
        local more_ms = share_of(store) < 1 and THROTTLED.RECOVER_MS or 60000
        redis.call('SET', key('rate', store), int(paid[store]), 'PX', int(math.max(0, paid[store] - now) + more_ms))
    end
end

-- The time that one call pays off; 0 for no limit.
local function per_call_ms(store)
    if PER_CALL_MS == 0 and paid_at(store) == 0 then return 0 end
    local share = share_of(store)
    if share == 1 then return PER_CALL_MS end
    return (PER_CALL_MS > 0 and PER_CALL_MS or THROTTLED.PER_CALL_MS) / share
end

-- Charge calls that were made or will be made; a negative number gives back. That does not shorten a pause,
-- which may have begun since they were reserved.
local function charge(store, calls)
    if calls == 0 then return end
    local each = per_call_ms(store)
    if each == 0 then return end
    local at = math.max(paid_at(store), now) + calls * each
    if calls < 0 then at = math.max(at, (pause_ends[store] or 0) + BURST_MS) end
    set_paid_at(store, at)
end

-- A step deletes each fulfillment of an order; expected_calls has the first one.
local function more_deletions(id)
    local record = record_of(id)
    if record.state ~= 'fulfilled' then return 0 end
    -- Facts that cannot be read are a matter of this refund's step; the other refunds go on.
    local facts = decoded(record.facts)
    local listed, deleted = facts.fulfillments, facts.deleted
    if type(listed) ~= 'table' then return 0 end
    return math.max(0, #listed - (type(deleted) == 'table' and #deleted or 0) - 1)
end

local function is_given(value) return value and value ~= cjson.null and value ~= '' end

-- Wix calculates the total of the parts that a job names: of lines with an amount, and of all else.
local function calculations(id)
    local record = record_of(id)
    if next_transition(record.state) ~= 'submit_refund' then return 0 end
    local job = decoded(record.request)
    local fees, of_amounts, of_others = job.additional_fees, 0, 0
    if is_given(job.shipping) or type(fees) == 'table' and #fees > 0 then of_others = 1 end
    for _, line in ipairs(type(job.lines) == 'table' and job.lines or {}) do
        if is_given(line.amount) then of_amounts = 1 else of_others = 1 end
    end
    return of_amounts + of_others
end

-- The calls of a refund's next step; usual: if its transition makes another number than expected_calls.
local function calls_of(id, usual)
    return (usual or expected_calls(record_of(id).state) or 0) + more_deletions(id) + calculations(id)
end

-- The calls of a step beyond those for which there is room after its start; fewer than none if room is left.
local function ahead_of(calls) return calls - 1 - MORE_CALLS end
local function surplus(calls) return math.max(0, ahead_of(calls)) end

-- Whether a store is over its rate, with so many calls ahead that are not reserved yet, or the circuit is
-- open. If so, wake.lua lets its lane continue when it is not. Nothing runs ahead of a store that Wix throttled.
local function is_paced(store, ahead)
    if is_cut_off(store) then return true end
    local early_ms = paid_at(store) - now - BURST_MS
    if ahead < 0 and (early_ms <= 0 or share_of(store) < 1) then ahead = 0 end
    if ahead ~= 0 then early_ms = early_ms + ahead * per_call_ms(store) end
    if early_ms <= 0 then return false end
    redis.call('ZADD', key('paced'), int(now + early_ms), store)
    return true
end

-- Reserve the calls that a step will make; false if the store is over its rate. What the step did not
-- make is given back when it commits: charge(store, made - reserved).
local function reserve(store, calls)
    if calls > 0 and is_paced(store, surplus(calls)) then return false end
    charge(store, calls)
    return true
end

-- Wix throttles the store: none of its refunds starts for in_ms (0 if Wix does not say: longer each
-- time, until it has answered for a while), and its rate is halved. Calls that were under way meanwhile are
-- not counted again.
local function throttle(store, in_ms)
    local held, share = key('throttled', store), share_of(store)
    local known = redis.call('HMGET', held, 'from_ms', 'pauses')
    local from, pauses = tonumber(known[1] or 0), tonumber(known[2] or 0)
    if now >= from then
        if now - from >= THROTTLED.CALM_MS then pauses = 0 end
        share, pauses = math.max(THROTTLED.LEAST, share / 2), pauses + 1
        if in_ms == 0 then in_ms = math.min(THROTTLED.CAP_MS, THROTTLED.FIRST_MS * 2 ^ math.min(pauses - 1, 20)) end
    end
    from = math.max(from, now + in_ms)
    shares[store] = nil
    redis.call('HSET', held, 'share', share, 'from_ms', int(from), 'pauses', pauses)
    redis.call('PEXPIRE', held, int(from - now + (1 - share) * THROTTLED.RECOVER_MS))
    set_paid_at(store, math.max(paid_at(store), from + BURST_MS))
end
