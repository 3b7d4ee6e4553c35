-- Check that each unfinished refund is in exactly one place: lane, busy (with a message or a living
-- worker), due or on hold; and that a finished or dead one is in none. Repair what is wrong, if asked to.
-- args: ids; repair; dead_after_ms; act, if any.
-- Returns {id, problem, id, problem, ...}.
local messages, problems = step_messages(), {}

local function leave(id, store)
    redis.call('ZREM', key('lane', store), id)
    redis.call('ZREM', key('busy', store), id)
    redis.call('ZREM', key('due'), id)
    redis.call('ZREM', key('on_hold'), id)
end

local function problem_of(id, record, store, state)
    local places = 0
    for _, place in ipairs({key('lane', store), key('busy', store), key('due'), key('on_hold')}) do
        if redis.call('ZSCORE', place, id) then places = places + 1 end
    end
    if not redis.call('ZSCORE', key('state', state), id) then return 'not listed under its state' end
    if state == 'dead' and not redis.call('ZSCORE', key('dead'), id) then return 'dead, but not listed' end
    if is_newer(id) then return places == 1 and 'needs a newer version of the worker' or 'in no place, or in several' end
    if not NEXT[state] then return places > 0 and 'ended, but still queued' or nil end
    if places == 0 then return 'nowhere' end
    if places > 1 then return 'in several places' end
    if redis.call('ZSCORE', key('busy', store), id) and is_lost(record, store, messages) then return 'forgotten' end
    return nil
end

for _, id in ipairs(args.ids) do
    local record = key('refund', id)
    local state, store = redis.call('HGET', record, 'state'), redis.call('HGET', record, 'store_id')
    local problem = state and problem_of(id, record, store, state)
    if not state then problem = 'no record' end
    if problem then
        problems[#problems + 1] = id
        problems[#problems + 1] = problem
        if args.repair and state and not is_newer(id) then
            if not is_held(record, store) then leave(id, store) end
            set_state(id, state)
            if state == 'dead' then redis.call('ZADD', key('dead'), 'NX', now, id) end
            if NEXT[state] and not is_held(record, store) then
                redis.call('HSET', record, 'due_at_ms', 0)
                line_up(id, store)
            else
                admit(store)
            end
        elseif args.repair and not state then
            redis.call('ZREM', key('due'), id)
            redis.call('ZREM', key('dead'), id)
        end
    end
end
if #problems > 0 then record_act() end
return problems
