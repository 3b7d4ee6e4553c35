-- In front of every script of the ledger, after lanes.lua: who runs a refund. A claim takes the lease on
-- the order for one execution, "WORKER|MESSAGE|EXECUTION".
--
-- A step that is committed may hand a refund to the same thread, already claimed: its own, if it goes
-- on, else the next in turn. No message is sent for that. handed:WORKER holds such an execution and
-- its refund until its last step is committed: {execution: "MS|REFUND"}, since when. One that the worker
-- knows nothing of is given back (give_back.lua).

-- The worker of a token.
local function worker_of(token) return string.match(token, '^[^|]+') end

-- Since when this refund may have a forgotten intent that no vouching dispels, nil for none: a worker has named its
-- order, or it was forgotten in an earlier doubt, for which not all have vouched.
local function outlasts_vouching(id, is_suspected)
    local record = record_of(id)
    local since, unresolved = tonumber(record.committed_at_ms or 0), tonumber(kept[9] or 0)
    if unresolved > 0 and not is_suspected then unresolved = unresolved + args.settle_delay_ms end
    if is_suspected then since = tonumber(record.suspected_at_ms) end
    local lost_at, named_till = tonumber(kept[4] or 0), 0
    if since <= tonumber(kept[8] or 0) then
        named_till = tonumber(redis.call('ZSCORE', key('doubted'), record.store_id .. '|' .. record.order_id) or 0)
    end
    -- A worker may have named it to an old primary, which has no doubt of its own.
    if named_till > 0 and since <= named_till then return math.max(lost_at, named_till - args.settle_delay_ms) end
    return lost_at > 0 and since <= unresolved and lost_at or nil
end

-- Since when this refund may have an intent that the server has forgotten; 0 for not. While the workers may
-- vouch for their calls soon, it is one whose wait is short; the second result says so. The third one says
-- whether their vouching may dispel it.
-- is_suspected: whether it was suspected before.
local function suspicion(id, is_suspected)
    local record = record_of(id)
    local left, is_soon = held_back_ms(record.store_id, record.order_id)
    local lost_at = tonumber(kept[4] or 0)
    local since = outlasts_vouching(id, is_suspected)
    if since then return since, false, false end
    if is_soon then return now + left - args.settle_delay_ms, true, true end
    if left > 0 then return lost_at, false, true end
    -- All workers have vouched, and none has named this order.
    if now < lost_at + args.settle_delay_ms then return 0, false, true end
    local is_possible = is_suspected or tonumber(record.committed_at_ms or 0) <= lost_at
    return is_possible and lost_at or 0, false, true
end

-- Take the lease on a refund's order; the same token may take it again. mutates: whether the step may
-- change something at Wix. calls: how many were reserved for it.
local function take_lease(id, token, mutates, calls)
    local record = record_of(id)
    if record.held_by ~= token then
        local intent = tonumber(record.intent_at_ms or 0)
        -- The server may have forgotten an intent of this refund, so there may have been one, unless
        -- something was committed since, or the workers have vouched.
        local is_suspected, is_soon = intent > 0 and record.suspected_at_ms == record.intent_at_ms, false
        if mutates and (intent == 0 or is_suspected) then
            local is_dispellable
            intent, is_soon, is_dispellable = suspicion(id, is_suspected)
            is_suspected = intent > 0 and is_dispellable and (is_soon or not record.held_by)
            if is_suspected then change(id, {suspected_at_ms = intent}) else remove(id, 'suspected_at_ms') end
        end
        -- The execution that wrote it never reported the effect: its call may be seconds old.
        if record.held_by and intent > 0 and not is_soon then intent = now end
        change(id, {
            held_by = token, fence = redis.call('INCR', key('fence')), prior_intent_at_ms = intent, reserved = calls,
            attempt = (record.attempt or 0) + 1, attempts = (record.attempts or 0) + 1,
        })
    end
    redis.call('SET', key('lease', record.store_id, record.order_id), token, 'PX', args.lease_cap_ms)
end

-- The answer to a claim: {status, now, fence, sealed key, epoch, disconnected, refunds in the lane,
-- record...}. A step that goes on in its thread need not know how many wait.
local function claim_answer(id, status, goes_on)
    local record, known, fence, waiting = record_of(id), {}, 0, 0
    if status == 'claimed' then
        known = redis.call('HMGET', key('store', record.store_id), 'sealed', 'epoch', 'disconnected_at_ms')
        fence, waiting = record.fence, goes_on and 0 or redis.call('ZCARD', key('lane', record.store_id))
    end
    -- The table of the reply is long enough already.
    local flat, size = replies[id], 0
    for field, value in pairs(record) do
        flat[size + 1], flat[size + 2], size = field, value, size + 2
    end
    return {status, int(now), fence, known[1] or '', known[2] or 0, known[3] or '', waiting, unpack(flat, 1, size)}
end

-- Hand a refund that has a slot to the execution of this script: {transition, message id, claim...}.
-- goes_on: whether its thread goes on with it; calls: how many its step will make, if that was counted.
local function hand(id, goes_on, calls)
    local record = record_of(id)
    local wakes = tonumber(record.wakes or 0) + 1
    local message_id = id .. '~' .. wakes
    change(id, {wakes = wakes, message_id = message_id})
    local token = args.worker_id .. '|' .. message_id .. '|' .. args.execution
    calls = calls or calls_of(id)
    charge(record.store_id, calls)
    take_lease(id, token, is_mutating(next_transition(record.state)), calls)
    if not (goes_on and args.is_handed) then
        redis.call('HSET', key('handed', args.worker_id), args.execution, int(now) .. '|' .. id)
    end
    return {next_transition(record.state), message_id, unpack(claim_answer(id, 'claimed', goes_on))}
end

-- The message id under which an execution holds a refund; nil if it does not.
local function held_by_execution(id, execution)
    local worker, message_id, holder = string.match(record_of(id).held_by or '', '^([^|]+)|(.*)|([^|]*)$')
    return worker == args.worker_id and holder == execution and message_id or nil
end

-- What this execution has been handed, for a script that is repeated because its reply was lost; {} if
-- that was nothing, or is not its own any more.
local function handed_before()
    local id = string.match(redis.call('HGET', key('handed', args.worker_id), args.execution) or '', '^%d+|(.*)$')
    local message_id = id and held_by_execution(id, args.execution)
    if not message_id then return {} end
    return {next_transition(record_of(id).state), message_id, unpack(claim_answer(id, 'claimed'))}
end

-- Hand the next refund in turn to the execution of this script: {} if there is none. Messages that are
-- queued come before it, but not before a store that goes ahead.
local function hand_over()
    if redis.call('LLEN', ns .. ':steps') > 0 and not is_ahead() then return {} end
    local id = take_turn()
    if not id then return {} end
    local holder = holder_of(id)
    if holder and is_alive(worker_of(holder)) then
        -- It will find the order busy, and wait.
        send(id)
        return {}
    end
    return hand(id)
end
