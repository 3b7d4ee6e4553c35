-- In front of every script of the ledger: when to look at a finished refund again, and what merchants do.

-- Looks of a store share a call, so those that are due at about the same time are made together: a
-- look may be late by a twelfth of its wait, at most by five minutes.
local function plan_look(id, from_ms, in_ms)
    local apart = math.max(1, math.min(300000, math.floor(in_ms / 12)))
    redis.call('ZADD', key('watch'), math.ceil((from_ms + in_ms) / apart) * apart, id)
end

-- Put a look that is due into the list of its store, which looks.lua hands out.
local function line_up_look(id)
    redis.call('ZREM', key('watch'), id)
    local store = redis.call('HGET', key('refund', id), 'store_id')
    if not store then return end
    redis.call('ZADD', key('looks', store), now, id)
    redis.call('ZADD', key('look_stores'), 'LT', now, store)
end

-- Set when the looks of a store come next: when its first one is due.
local function next_looks(store)
    local first = redis.call('ZRANGE', key('looks', store), 0, 0, 'WITHSCORES')[2]
    if first then
        redis.call('ZADD', key('look_stores'), first, store)
    else
        redis.call('ZREM', key('look_stores'), store)
    end
end

-- End that the merchant of a store is observed, and forget what was seen.
local function stop_observing(store)
    redis.call('ZREM', key('observing'), store)
    redis.call('DEL', key('observer', store), key('observed', store), key('observe_again', store))
end
