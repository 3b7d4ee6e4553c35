-- Set going what holds a slot but what nobody holds or will be told of; a.stores are looked at.
-- Returns the ids of what was roused. The queue is read once for all of them.
local expected = {}
local function expect(list)
    for _, message_id in ipairs(redis.call('LRANGE', list, 0, -1)) do expected[message_id] = true end
end
expect(ns .. ':steps')
for _, worker_id in ipairs(redis.call('ZRANGE', key('workers'), 0, -1)) do
    expect(key('steps', 'inflight', worker_id))
end

local function is_held(r, store)
    local held_by = redis.call('HGET', r, 'held_by')
    return held_by and redis.call('GET', key('lease', store, redis.call('HGET', r, 'order_id'))) == held_by
        and is_alive(string.match(held_by, '^[^|]+'))
end

local roused = {}
for _, store in ipairs(a.stores) do
    for _, id in ipairs(redis.call('ZRANGE', key('busy', store), 0, -1)) do
        local r = key('refund', id)
        local message_id = redis.call('HGET', r, 'message_id')
        if not (message_id and expected[message_id]) and not is_held(r, store) then
            if message_id then redis.call('HDEL', ns .. ':steps.msgs', message_id) end
            if NEXT[redis.call('HGET', r, 'state')] then
                send(id)
                roused[#roused + 1] = id
            else
                redis.call('ZREM', key('busy', store), id)
            end
        end
    end
    admit(store)
end
return roused
