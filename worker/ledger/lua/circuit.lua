-- In front of every script of the ledger, before rate.lua: whether Wix is down for most stores.
-- circuit.py sets the numbers of CIRCUIT above.
--
-- While it is, the circuit is open, and no refund starts. When Wix answers the probes, the share of the
-- stores whose refunds start grows step by step (outage.lua).

-- Note how the last call of a step went; answers:STORE would be one key per store, so this is one set:
-- the time of an answer, and minus the time of a failure.
local function note_answer(store, outcome)
    if outcome == 'answered' then
        redis.call('ZADD', key('answers'), now, store)
    elseif outcome == 'failed' then
        redis.call('ZADD', key('answers'), -now, store)
    end
end

-- Whether the circuit holds back a store; if so, wake.lua tries its lane again.
local function is_cut_off(store)
    if is_quiet(store) then return false end
    local share = redis.call('HGET', key('outage'), 'share')
    if not share or tonumber(string.sub(redis.sha1hex(store), 1, 2), 16) < tonumber(share) then return false end
    redis.call('ZADD', key('paced'), now + CIRCUIT.AGAIN_MS, store)
    return true
end
