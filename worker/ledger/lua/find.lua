-- Find refunds in a list, a bounded piece per call. Changes nothing.
-- args: list (its name), or ids (of the only refunds to look at); newest (the order);
--       by_ledger (whether its scores are by the ledger's clock);
--       since_ms, until_ms, by the server's time (0 for any); after_score, after_id ("" for the beginning);
--       piece (how many are looked at); wants_card (whether reason, amount or text matter);
--       tests {field: text}: state, died_in, store, order, refund, begins (with the refund's id), reason, code,
--       transition, text, member (of this list, too). What has ended well has neither reason nor transition.
-- Returns {shift of the scores to the server's time, ms; score and id of the last one looked at, "" at the end; id,
-- score, amount, currency, version, id, ...}.
local list, tests = ns .. ':' .. args.list, args.tests
local shift = args.by_ledger and wall - now or 0
local since, till = args.since_ms - shift, args.until_ms > 0 and args.until_ms - shift or math.huge

local function bound(score) return '(' .. int(score) end

local function first_rank()
    local score, first, last = tonumber(args.after_score), '-inf', bound(since)
    if args.after_id ~= '' then
        if tonumber(redis.call('ZSCORE', list, args.after_id) or -1) == score then
            return redis.call(args.newest and 'ZREVRANK' or 'ZRANK', list, args.after_id) + 1
        end
        first, last = args.newest and bound(score) or '-inf', args.newest and '+inf' or bound(score)
    elseif args.newest then
        if till == math.huge then return 0 end
        first, last = bound(till), '+inf'
    end
    return redis.call('ZCOUNT', list, first, last)
end

-- The refunds to look at now: {id, score, id, score, ...}.
local function candidates()
    if not args.ids then
        local rank = first_rank()
        local name = args.newest and 'ZREVRANGE' or 'ZRANGE'
        return redis.call(name, list, rank, rank + args.piece - 1, 'WITHSCORES')
    end
    local flat = {}
    for _, id in ipairs(args.ids) do
        local score = redis.call('ZSCORE', list, id)
        if score then
            flat[#flat + 1] = id
            flat[#flat + 1] = score
        end
    end
    return flat
end

-- The card of a refund that is in no list by kind; nil if it is in another state, or not needed.
local FIELDS = {'state', 'store_id', 'order_id', 'died_in', 'reason', 'request', 'facts', 'approval'}
local function make_card(id)
    local record = {}
    for place, value in ipairs(redis.call('HMGET', key('refund', id), 'state', 'store_id', 'order_id')) do
        record[FIELDS[place]] = value or nil
    end
    if not record.state or tests.state and record.state ~= tests.state then return nil end
    if not args.wants_card then return joined({store = record.store_id, order = record.order_id}) end
    for place, value in ipairs(redis.call('HMGET', key('refund', id), unpack(FIELDS))) do
        record[FIELDS[place]] = value or nil
    end
    local card = card_of(record)
    if tests.member == 'approvals' then
        local asked = decoded(record.approval)
        card.amount, card.currency = text_of(asked.amount), text_of(asked.currency)
    end
    local state = record.state
    if has_ended(state) and state ~= 'rejected' and state ~= 'dead' then card.reason, card.code = '', '' end
    return joined(card)
end

local function is_named(id)
    local begins = tests.begins
    return (not begins or string.sub(id, 1, #begins) == begins) and (not tests.refund or tests.refund == id)
        and (not tests.member or redis.call('ZSCORE', key(tests.member), id))
end

local flat = candidates()
local ids, found = {}, {int(shift), '', ''}
for place = 1, #flat, 2 do ids[#ids + 1] = flat[place] end
local cards = tests.state == 'dead' and #ids > 0 and redis.call('HMGET', key('cards'), unpack(ids)) or {}
for place, id in ipairs(ids) do
    local score = tonumber(flat[2 * place])
    local is_in_time = score >= since and score <= till
    -- The rest is older, or newer.
    if not is_in_time and not args.ids then return found end
    local text = is_in_time and is_named(id) and (cards[place] or make_card(id))
    if text and (not tests.text or string.find(string.lower(id .. ' ' .. text), tests.text, 1, true)) then
        local reason, code, store, transition, died_in, order, amount, currency = string.match(text, WHOLE_CARD)
        if (not tests.reason or tests.reason == reason) and (not tests.code or tests.code == code)
            and (not tests.store or tests.store == store) and (not tests.transition or tests.transition == transition)
            and (not tests.died_in or tests.died_in == died_in) and (not tests.order or tests.order == order) then
            local size = #found
            found[size + 1], found[size + 2], found[size + 3], found[size + 4] = id, int(score), amount, currency
            found[size + 5] = redis.call('HGET', key('refund', id), 'version') or ''
        end
    end
end
if #ids == args.piece and not args.ids then found[2], found[3] = int(tonumber(flat[#flat])), flat[#flat - 1] end
return found
