-- Is every refund of a.ids in exactly one place? Returns flat {id, problem, ...}; a.repair mends.
-- Places: lane, busy (with a message, or held), due; a dead or ended refund is in none of them.
local expected, problems = {}, {}
local function expect(list)
    for _, message_id in ipairs(redis.call('LRANGE', list, 0, -1)) do expected[message_id] = true end
end
expect(ns .. ':steps')
for _, worker_id in ipairs(redis.call('ZRANGE', key('workers'), 0, -1)) do
    expect(key('steps', 'inflight', worker_id))
end

local function leave(id, store)
    redis.call('ZREM', key('lane', store), id)
    redis.call('ZREM', key('busy', store), id)
    redis.call('ZREM', key('due'), id)
end

local function is_held(r, store)
    local held_by = redis.call('HGET', r, 'held_by')
    return held_by and redis.call('GET', key('lease', store, redis.call('HGET', r, 'order_id'))) == held_by
        and is_alive(string.match(held_by, '^[^|]+'))
end

local function problem_of(id, r, store, state)
    local places = 0
    for _, place in ipairs({key('lane', store), key('busy', store), key('due')}) do
        if redis.call('ZSCORE', place, id) then places = places + 1 end
    end
    if not redis.call('ZSCORE', key('state', state), id) then return 'not listed under its state' end
    if state == 'dead' and not redis.call('ZSCORE', key('dead'), id) then return 'dead, but not listed' end
    if not NEXT[state] then return places > 0 and 'ended, but still in a line' or nil end
    if places == 0 then return 'nowhere' end
    if places > 1 then return 'in several places' end
    if redis.call('ZSCORE', key('busy', store), id) then
        local message_id = redis.call('HGET', r, 'message_id')
        if not (message_id and expected[message_id]) and not is_held(r, store) then return 'forgotten' end
    end
    return nil
end

for _, id in ipairs(a.ids) do
    local r = key('refund', id)
    local state, store = redis.call('HGET', r, 'state'), redis.call('HGET', r, 'store_id')
    local problem = state and problem_of(id, r, store, state)
    if not state then problem = 'no record' end
    if problem then
        problems[#problems + 1] = id
        problems[#problems + 1] = problem
        if a.repair and state then
            if not is_held(r, store) then leave(id, store) end
            set_state(id, state)
            if state == 'dead' then redis.call('ZADD', key('dead'), 'NX', now, id) end
            if NEXT[state] and not is_held(r, store) then
                redis.call('HSET', r, 'due_at_ms', 0)
                line_up(id, store)
            else
                admit(store)
            end
        elseif a.repair then
            redis.call('ZREM', key('due'), id)
            redis.call('ZREM', key('dead'), id)
        end
    end
end
return problems
