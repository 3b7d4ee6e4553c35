-- In front of every script of the ledger, before lanes.lua: how many calls a store may make to Wix.
-- lanes.py sets PER_CALL_MS and BURST_MS above.

-- Spread calls to Wix over time (generic cell rate algorithm): rate:STORE is when the calls that
-- were made so far are paid off.
local function charge(store, calls)
    if PER_CALL_MS == 0 or calls == 0 then return end
    local paid_at = math.max(tonumber(redis.call('GET', key('rate', store)) or 0), now) + calls * PER_CALL_MS
    redis.call('SET', key('rate', store), int(paid_at), 'PX', int(paid_at - now))
end

-- Whether a store is over its rate; if so, wake.lua lets its lane continue when it is not.
local function is_paced(store)
    local early_ms = tonumber(redis.call('GET', key('rate', store)) or 0) - now - BURST_MS
    if early_ms <= 0 then return false end
    redis.call('ZADD', key('paced'), now + early_ms, store)
    return true
end

-- Let no refund of a store start for a while, as if it were over its rate.
local function pause(store, in_ms)
    local paid_at = math.max(tonumber(redis.call('GET', key('rate', store)) or 0), now + in_ms + BURST_MS)
    redis.call('SET', key('rate', store), int(paid_at), 'PX', int(paid_at - now))
end
