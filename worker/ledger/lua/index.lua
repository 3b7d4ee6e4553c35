-- In front of every script of the ledger, before lanes.lua: lists with which people find refunds, and
-- counts that say at a glance how things stand. They follow what a script changed in the records, when
-- it ends (finish() in lanes.lua). A list that is wrong is put right by reindex.lua; it must never stop
-- the write that it follows, so an error here is dropped.
--
-- The hash `cards` holds what each dead letter is listed by, so that it can be found without its record, and so
-- that the next change can take it out of its lists again. Its field `listed` says that it has one.
local SEPARATOR = '\31'
local KINDS = {'reason', 'code', 'store', 'transition'}
-- How much of one field can be searched.
local LONGEST_TEXT = 200
-- The amount of a refund that is not known.
local UNKNOWN = '?'

-- A field of a JSON object as text without control characters; '' if it is none.
local function text_of(value)
    if type(value) ~= 'string' then return '' end
    -- Not in the middle of a character.
    if #value > LONGEST_TEXT then
        value = string.gsub(string.sub(value, 1, LONGEST_TEXT), '[\192-\255]?[\128-\191]*$', '')
    end
    return (string.gsub(value, '%c', ' '))
end

-- Amount and currency of a refund: what is to be recovered, what was refunded, what the job asks for, or
-- for a whole order what it had taken; '' if that is not known. worker/refund/stakes.py says the same.
local function amount_of(request, facts)
    local overpaid = type(facts.overpaid) == 'table' and facts.overpaid or {}
    local is_part = request.shipping ~= cjson.null and request.shipping
        or #(request.lines or {}) > 0 or #(request.additional_fees or {}) > 0
    for _, amount in ipairs({overpaid.amount or '', facts.refund_amount or '', request.amount or ''}) do
        if text_of(amount) ~= '' then return text_of(amount) end
    end
    return is_part and '' or text_of(facts.left_to_refund)
end

-- What a refund is listed by.
local CARD = {'reason', 'code', 'store', 'transition', 'died_in', 'order', 'amount', 'currency', 'text'}
-- Matches a card: one capture for each of these.
local WHOLE_CARD = '^' .. string.rep('([^\31]*)\31', #CARD - 1) .. '(.*)$'

local function card_of(record)
    local reason, request, facts = decoded(record.reason), decoded(record.request), decoded(record.facts)
    local currency = text_of(facts.currency)
    local words = {
        text_of(reason.detail), text_of(reason.error), text_of(reason.wix_request_id),
        text_of(request.requested_by), text_of(request.reason), text_of(request.order_number),
    }
    local code, status = text_of(reason.wix_code), tonumber(reason.http_status)
    return {
        reason = text_of(reason.reason), code = code == '' and status and int(status) or code, store = record.store_id,
        transition = next_transition(record.died_in or record.state) or '', died_in = text_of(record.died_in),
        order = record.order_id, amount = amount_of(request, facts),
        currency = currency ~= '' and currency or text_of(request.currency),
        text = string.lower(table.concat(words, ' ')),
    }
end

local function joined(card)
    local values = {}
    for place, field in ipairs(CARD) do values[place] = card[field] or '' end
    return table.concat(values, SEPARATOR)
end

local function split(text)
    local card = {}
    for place, value in ipairs({string.match(text, WHOLE_CARD)}) do card[CARD[place]] = value end
    return card
end

-- An amount in ten-thousandths, as digits; nil if it is none, or too long to be added up exactly.
local function units(amount)
    local whole, part = string.match(amount, '^(%d+)%.?(%d-)0*$')
    if not whole or #whole > 11 or #part > 4 then return nil end
    local digits = string.match(whole .. part .. string.rep('0', 4 - #part), '^0*(%d+)$')
    return digits ~= '0' and digits or nil
end

-- Add to a count; one that is 0 is removed.
local function add(hash, field, number)
    if redis.call('HINCRBY', hash, field, number) == 0 then redis.call('HDEL', hash, field) end
end

-- List a dead letter by what its card says, or take it out of the lists (sign '-').
local function list_by(id, card, sign)
    local sum, died_at = units(card.amount), redis.call('ZSCORE', key('dead'), id) or int(now)
    for _, kind in ipairs(KINDS) do
        local list, groups, value = key('dead_by', kind, card[kind]), key('dead_groups', kind), card[kind]
        local moved = sign == '' and redis.call('ZADD', list, died_at, id)
            or sign == '-' and redis.call('ZREM', list, id)
        if moved == 1 then
            add(groups, value, sign .. '1')
            add(groups, value .. SEPARATOR .. (sum and card.currency or UNKNOWN), sign .. (sum or '1'))
        end
    end
end

local function list_dead(id, record)
    local before = record.listed and redis.call('HGET', key('cards'), id) or nil
    local text = record.state == 'dead' and joined(card_of(record)) or nil
    if text == before then return end
    if before then list_by(id, split(before), '-') end
    if text then
        list_by(id, split(text), '')
        redis.call('HSET', key('cards'), id, text)
        change(id, {listed = 1})
    else
        redis.call('HDEL', key('cards'), id)
        remove(id, 'listed')
    end
end

-- List a refund while its step fails and is tried again, and count it for its store.
local function list_failing(id, record)
    local is_failing = next_transition(record.state) ~= nil and tonumber(record.failing_since_ms or 0) > 0
    if is_failing == (record.failing ~= nil) then return end
    local store, stores = record.store_id, key('failing_stores')
    if is_failing then
        change(id, {failing = 1})
        if redis.call('ZADD', key('failing'), record.failing_since_ms, id) == 0 then return end
        redis.call('ZINCRBY', stores, 1, store)
        redis.call('HSETNX', key('store', store), 'failing_since_ms', record.failing_since_ms)
    elseif record.failing then
        remove(id, 'failing')
        if redis.call('ZREM', key('failing'), id) == 0 then return end
        if tonumber(redis.call('ZINCRBY', stores, -1, store)) <= 0 then
            redis.call('ZREM', stores, store)
            redis.call('HDEL', key('store', store), 'failing_since_ms')
        end
    end
end

-- Count a refund that was accepted or has ended, and the amount that it moved.
local state_counts, new_totals = {}, {}
local function total(name, number) new_totals[name] = (new_totals[name] or 0) + number end
local function count_state(record)
    local state = record.state
    if state ~= 'accepted' and next_transition(state) then return end
    state_counts[state] = (state_counts[state] or 0) + 1
    if state == 'accepted' then return total('accepted', 1) end
    local reason = (state == 'rejected' or state == 'dead') and text_of(decoded(record.reason).reason) or ''
    total(table.concat({'ended', state, record.flow or '', reason}, SEPARATOR), 1)
    if state == 'refunded' or state == 'cancelled' then
        local facts = decoded(record.facts)
        local sum = units(text_of(facts.refund_amount))
        if sum then
            add_counts('day', {['units:' .. text_of(facts.currency)] = sum})
            add_totals({['units' .. SEPARATOR .. text_of(facts.currency)] = sum})
        end
    end
end

-- List a refund while it waits for an approval, and add up the amounts by currency.
local function list_approval(id, record)
    local waits = record.hold ~= nil and decoded(record.hold).reason == 'needs_approval'
    if waits == (record.asks ~= nil) then return end
    local sums = key('approval_sums')
    if waits then
        local wanted = decoded(record.approval)
        local amount = tonumber(wanted.units) or -1
        change(id, {asks = amount < 0 and '1 ' .. UNKNOWN or int(amount) .. ' ' .. wanted.currency})
        redis.call('ZADD', key('approvals'), record.accepted_at_ms, id)
        local sum, currency = string.match(record.asks, '^(%d+) (.*)$')
        redis.call('HINCRBY', sums, currency, sum)
    else
        local sum, currency = string.match(record.asks, '^(%d+) (.*)$')
        remove(id, 'asks')
        if redis.call('ZREM', key('approvals'), id) == 1 then add(sums, currency, '-' .. sum) end
    end
end

-- List a refund by its order, and under its store.
local function list_accepted(id, record)
    redis.call('ZADD', key('orders'), 0, record.order_id .. ':' .. record.store_id)
    redis.call('ZADD', key('of_store', record.store_id), record.accepted_at_ms, id)
end

local function follow(id, fields)
    local record = record_of(id)
    list_failing(id, record)
    list_approval(id, record)
    if fields.state or fields.reason or fields.facts or fields.request or fields.died_in then
        if record.listed or record.state == 'dead' then list_dead(id, record) end
    end
    if fields.accepted_at_ms then list_accepted(id, record) end
    if fields.state then count_state(record) end
end

-- At the end of each script, before the records are written.
local function follow_changes()
    for id, fields in pairs(changes) do pcall(follow, id, fields) end
    for _, ring in ipairs({'minute', 'day'}) do pcall(add_counts, ring, state_counts) end
    pcall(add_totals, new_totals)
end
