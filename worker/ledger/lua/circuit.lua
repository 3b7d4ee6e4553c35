-- In front of every script of the ledger, before rate.lua: whether Wix is down for most stores.
-- circuit.py sets the numbers of CIRCUIT above.
--
-- While it is, the circuit is open, and no refund starts. When Wix answers the probes, the share of the
-- stores whose refunds start grows step by step (outage.lua).

-- Note that Wix answered the last call of a step. answers:STORE would be one key per store, so this is one
-- set: the time of an answer, and minus the time of a failure.
local function note_answer(store) redis.call('ZADD', key('answers'), now, store) end

-- Note that Wix did not answer it. Returns until when the store must pause, nil if it need not: where few
-- stores have work, no outage shows, and each refund would run into it by itself. So a store whose calls fail
-- many times, with no answer in between, pauses, and longer each time. One order cannot do this: its retries
-- become too rare. After a pause a few refunds are tried, as one may be of an order that always fails.
local function note_failure(store)
    local answers, run = key('answers'), key('unanswered', store)
    if tonumber(redis.call('ZSCORE', answers, store) or 0) > 0 then redis.call('DEL', run) end
    redis.call('ZADD', answers, -now, store)
    -- A call that was under way when the pause began says nothing new.
    if now < tonumber(redis.call('HGET', run, 'until_ms') or 0) then return nil end
    local more, wait = redis.call('HINCRBY', run, 'failures', 1) - CIRCUIT.IN_A_ROW, 0
    if more >= 0 and more % CIRCUIT.PROBED == 0 then
        wait = math.min(CIRCUIT.CAP_MS, CIRCUIT.FIRST_MS * 2 ^ math.min(more / CIRCUIT.PROBED, 20))
        redis.call('HSET', run, 'until_ms', int(now + wait))
    end
    redis.call('PEXPIRE', run, int(wait + CIRCUIT.WINDOW_MS))
    return wait > 0 and now + wait or nil
end

-- Whether the circuit holds back a store; if so, wake.lua tries its lane again.
local function is_cut_off(store)
    if is_quiet(store) then return false end
    local share = redis.call('HGET', key('outage'), 'share')
    if not share or tonumber(string.sub(redis.sha1hex(store), 1, 2), 16) < tonumber(share) then return false end
    redis.call('ZADD', key('paced'), now + CIRCUIT.AGAIN_MS, store)
    return true
end
