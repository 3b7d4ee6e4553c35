-- In front of the scripts that let money move, or know that it did not: the money guards. A refund is
-- counted by the script that writes its intent, the last write before a call to Wix, so that no other
-- worker can come between the look at a limit and the count.
--
-- guard:STORE and guard:* (all stores) hold counts and amounts, in ten-thousandths, by minute for the
-- last hour and by hour for the last day: m29000000, m29000000USD, h483333, h483333USD. A window is the
-- present minute or hour and the 60 or 24 before it, so any hour and any day is within one. usual:STORE
-- and usual:* hold the number of refunds by hour, for a week. Time is the ledger's, which does not step
-- with the server's clock; that one only ends a hash in which nothing was counted for two weeks.
--
-- The field `guard` of a record says what was counted for it, and when. It counts once: another call of
-- the refund within the hour changes nothing, and a later one moves its count.
local WINDOWS = {hour = {'m', 60000, 60}, day = {'h', 3600000, 24}}
local USUAL_HOURS, LEARNED_HOURS = 168, 24
local KEPT_S = 14 * 86400

local function bucket(window, at) return math.floor(at / window[2]) end

-- Whether what was counted at this time is in the window.
local function is_within(window, at) return bucket(window, at) >= bucket(window, now) - window[3] end

-- The number of refunds of a store, or of all ('*'), and their amount in a currency, in a window.
local function counted_in(scope, window, currency)
    local names, count, units = {}, 0, 0
    for at = bucket(window, now) - window[3], bucket(window, now) do
        names[#names + 1] = window[1] .. int(at)
        names[#names + 1] = window[1] .. int(at) .. currency
    end
    for place, number in ipairs(redis.call('HMGET', key('guard', scope), unpack(names))) do
        if number and place % 2 == 1 then count = count + number end
        if number and place % 2 == 0 and currency ~= '' then units = units + number end
    end
    return count, units
end

-- Forget the counts of a hash that no window needs any more.
local function prune(hash, oldest)
    local old = {}
    for _, name in ipairs(redis.call('HKEYS', hash)) do
        local letter, at = string.match(name, '^(%a?)(%d+)')
        if oldest[letter] and tonumber(at) < oldest[letter] then old[#old + 1] = name end
    end
    if #old > 0 then redis.call('HDEL', hash, unpack(old)) end
end

-- Add to a count; one that is 0 is removed. A count that was lost is not taken from.
local function add_to(hash, name, number)
    local sum = redis.call('HINCRBY', hash, name, int(number))
    if sum <= 0 then redis.call('HDEL', hash, name) end
    return sum
end

-- Count a refund for its store and for all (sign 1), or take back what was counted (sign -1).
local function count_in(store, counted, sign)
    local hour = bucket(WINDOWS.day, counted.at)
    for _, scope in ipairs({store, '*'}) do
        local hash, usual, is_new = key('guard', scope), key('usual', scope), false
        for _, window in pairs(WINDOWS) do
            if is_within(window, counted.at) then
                local name = window[1] .. int(bucket(window, counted.at))
                is_new = add_to(hash, name, sign) == 1 or is_new
                if counted.units > 0 then add_to(hash, name .. counted.currency, sign * counted.units) end
            end
        end
        if hour >= bucket(WINDOWS.day, now) - USUAL_HOURS and add_to(usual, int(hour), sign) == 1 then
            prune(usual, {[''] = hour - USUAL_HOURS})
        end
        if is_new and sign == 1 then
            prune(hash, {m = bucket(WINDOWS.hour, now) - 60, h = bucket(WINDOWS.day, now) - 24})
        end
        redis.call('EXPIRE', hash, KEPT_S)
        redis.call('EXPIRE', usual, KEPT_S)
    end
end

-- What the field `guard` of a record says: {at, units, currency}; nil if nothing is counted.
local function counted_of(text)
    local at, units, currency = string.match(text or '', '^(%d+) (%d+) (%u*)$')
    return at and {at = tonumber(at), units = tonumber(units), currency = currency}
end

-- Count a refund now: {units (-1 if not known), currency}. Returns what its record says of it.
local function count_now(store, found)
    local units = math.max(0, found.units)
    count_in(store, {at = now, units = units, currency = found.currency}, 1)
    return int(now) .. ' ' .. int(units) .. ' ' .. found.currency
end

-- How many refunds of a store are a surge if they come within an hour: a multiple of its mean, over the
-- hours of the last week in which any store had a refund. nil while too few hours are known.
local function surge_from(store, surge)
    local hour, hours, count = bucket(WINDOWS.day, now), 0, 0
    local function each(hash, found)
        local flat = redis.call('HGETALL', hash)
        for place = 1, #flat, 2 do
            local at = tonumber(flat[place])
            if at < hour and at >= hour - USUAL_HOURS then found(tonumber(flat[place + 1])) end
        end
    end
    each(key('usual', '*'), function() hours = hours + 1 end)
    if hours < LEARNED_HOURS then return nil end
    each(key('usual', store), function(number) count = count + number end)
    return math.max(surge.above, math.floor(surge.times * count / hours))
end

-- The limits that a refund would exceed: {limit, kind, most, would_be}, numbers as digits, amounts in ten-thousandths.
local function limits_passed(store, guard, counted)
    local passed = {}
    local function over(limit, kind, most, would_be)
        passed[#passed + 1] = {limit = limit, kind = kind, most = int(most), would_be = int(would_be)}
    end
    if guard.units < 0 and guard.has_amounts then over('refund', 'unknown', 0, 0) end
    for _, name in ipairs({'refund', 'two_people'}) do
        local most = guard[name]
        if most and guard.units > most then over(name, 'amount', most, guard.units) end
    end
    for _, limit in ipairs(guard.windows) do
        local window, scope = WINDOWS[limit.window], limit.scope == 'all' and '*' or store
        local own = counted and is_within(window, counted.at) and counted
        local count, units = counted_in(scope, window, guard.currency)
        local more = guard.units - (own and own.units or 0)
        if limit.count and not own and count + 1 > limit.count then over(limit.name, 'count', limit.count, count + 1) end
        if limit.units and more > 0 and units + more > limit.units then
            over(limit.name, 'amount', limit.units, units + more)
        end
    end
    if guard.surge and not (counted and is_within(WINDOWS.hour, counted.at)) then
        local most, count = surge_from(store, guard.surge), counted_in(store, WINDOWS.hour, '')
        if most and count + 1 > most then over('store_surge', 'count', most, count + 1) end
    end
    return passed
end

-- Whether an approval of one amount holds for another; -1 is an amount that is not known.
local function covers(approved, units, currency)
    if not approved.units or approved.currency ~= currency then return false end
    return approved.units == units or (units >= 0 and units <= approved.units)
end

-- What must be approved before a refund may make its call: {passed, people, units, currency}, nil if nothing;
-- and what is counted for it. Changes nothing.
-- guard: units (-1 if not known) and currency of the call; refund, two_people (units, if there is such a
--        limit); windows {name, scope, window, count, units}; surge {times, above}; has_amounts, whether
--        an amount of this currency is limited; is_repeat, whether an earlier call may have had an effect;
--        is_begun, whether the order is changed already.
local function asked(id, store, guard)
    local known = redis.call('HMGET', key('refund', id), 'guard', 'approval', 'approvals')
    local counted, approval = counted_of(known[1]), decoded(known[2])
    -- A refund that has begun, or that was allowed once and may have been made, is not checked again; but it
    -- counts when money moves.
    local goes_on = guard.is_begun or counted and guard.is_repeat and guard.units <= counted.units
    local passed = goes_on and {} or limits_passed(store, guard, counted)
    if #passed > 0 then
        local people = guard.two_people and (guard.units < 0 or guard.units > guard.two_people) and 2 or 1
        local given = covers(approval, guard.units, guard.currency) and #decoded(known[3]) or 0
        if given < people then
            return {passed = passed, people = people, units = int(guard.units), currency = guard.currency}
        end
    end
    return nil, counted
end

-- Whether a refund may make its call: nil, and it is counted, or what must be approved (see asked).
local function guarded(id, store, guard)
    local asks, counted = asked(id, store, guard)
    if asks or counted and guard.is_begun then return asks end
    if counted and is_within(WINDOWS.hour, counted.at) and guard.units <= counted.units then return nil end
    if counted then count_in(store, counted, -1) end
    redis.call('HSET', key('refund', id), 'guard', count_now(store, guard))
    return nil
end

-- Count a refund that was found at Wix, and of which the server has forgotten that it was counted.
local function count_found(id, found)
    local record = record_of(id)
    if not counted_of(record.guard) then change(id, {guard = count_now(record.store_id, found)}) end
end

-- Take back what was counted for a refund that has ended, and of which no call can take effect any more.
local function uncount(id)
    local counted = counted_of(record_of(id).guard)
    if not counted then return end
    count_in(record_of(id).store_id, counted, -1)
    remove(id, 'guard')
end

-- Put a refund on hold until it is approved. If a person has put it on hold, that hold stays; when it is
-- released, its step checks the limits again.
-- asks: hold and reason (JSON), schema (workers before it do not know holds); approval (JSON: units,
--       currency, people); outcome.
local function await_approval(id, asks)
    local record = record_of(id)
    if is_on_hold(id) then return end
    local wanted = decoded(asks.approval)
    if not covers(decoded(record.approval), wanted.units, wanted.currency) then remove(id, 'approvals') end
    change(id, {
        hold = asks.hold, hold_at_ms = now, schema_before_hold = record.schema or '',
        schema = schema_on_hold(id, asks.schema), approval = asks.approval, reason = asks.reason,
    })
    publish(id, asks)
end
