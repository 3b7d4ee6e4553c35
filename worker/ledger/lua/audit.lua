-- Check that each unfinished refund is in exactly one place: lane (of a store that gets turns), busy
-- (with a message or a living worker), due or on hold; that a finished or dead one is in none; and that
-- a forgotten one is in no list.
-- Repair what is wrong, if asked to.
-- args: ids; repair; dead_after_ms; act, if any.
-- Returns {id, problem, id, problem, ...}.
local messages, problems = step_messages(), {}

local function leave(id, store)
    redis.call('ZREM', key('lane', store), id)
    redis.call('ZREM', key('busy', store), id)
    redis.call('ZREM', key('due'), id)
    redis.call('ZREM', key('on_hold'), id)
end

-- Whether a store has refunds that could start, but no turn and nothing in flight that would give it one.
-- One that was over its rate gets its turn with the next tick.
local function is_forgotten(store)
    return redis.call('ZCARD', key('busy', store)) == 0 and not redis.call('ZSCORE', key('ring'), store)
        and not is_suspended(store) and not is_paused(store) and not redis.call('ZSCORE', key('paced'), store)
        and not is_paced(store, 0)
end

local function problem_of(id, store, state)
    local places = 0
    for _, place in ipairs({key('lane', store), key('busy', store), key('due'), key('on_hold')}) do
        if redis.call('ZSCORE', place, id) then places = places + 1 end
    end
    if not redis.call('ZSCORE', key('state', state), id) then return 'not listed under its state' end
    if state == 'dead' and not redis.call('ZSCORE', key('dead'), id) then return 'dead, but not listed' end
    if is_newer(id) then return places == 1 and 'needs a newer version of the worker' or 'in no place, or in several' end
    if not next_transition(state) then return places > 0 and 'ended, but still queued' or nil end
    if places == 0 then return 'nowhere' end
    if places > 1 then return 'in several places' end
    if redis.call('ZSCORE', key('busy', store), id) and is_lost(id, messages) then return 'forgotten' end
    local is_waiting = redis.call('ZSCORE', key('lane', store), id)
    if is_waiting and is_forgotten(store) then return 'waits, but its store gets no turn' end
    return nil
end

-- The lists that still have a forgotten refund.
local LISTS = {key('accepted'), key('due'), key('dead'), key('watch'), key('on_hold')}
for _, state in ipairs(STATES) do LISTS[#LISTS + 1] = key('state', state) end
local function listed_in(id)
    local found = {}
    for _, list in ipairs(LISTS) do
        if redis.call('ZSCORE', list, id) then found[#found + 1] = list end
    end
    return found
end

for _, id in ipairs(args.ids) do
    local state, store = record_of(id).state, record_of(id).store_id
    local problem = state and problem_of(id, store, state)
    local lists = record_of(id).t and listed_in(id)
    if lists then
        problem = #lists > 0 and 'forgotten, but still listed'
    elseif not state then
        problem = 'no record'
    end
    if problem then
        problems[#problems + 1] = id
        problems[#problems + 1] = problem
        if args.repair and state and not is_newer(id) then
            if not is_held(id) then leave(id, store) end
            redis.call('ZADD', key('state', state), record_of(id).accepted_at_ms, id)
            if state == 'dead' then redis.call('ZADD', key('dead'), 'NX', now, id) end
            if next_transition(state) and not is_held(id) then
                change(id, {due_at_ms = 0})
                line_up(id, store)
            else
                admit(store)
            end
        elseif args.repair and lists then
            for _, list in ipairs(lists) do redis.call('ZREM', list, id) end
        elseif args.repair and not state then
            redis.call('ZREM', key('due'), id)
            redis.call('ZREM', key('dead'), id)
        end
    end
end
if #problems > 0 then record_act() end
return problems
