-- In front of every script of the ledger, before rate.lua: whether Wix is down for most stores.
-- circuit.py sets the numbers of CIRCUIT above.
--
-- While it is, the circuit is open, and no refund starts. When Wix answers the probes, the share of the
-- stores whose refunds start grows step by step (outage.lua).

-- Note that Wix answered the last call of a step. answers:STORE would be one key per store, so this is one
-- set: the time of an answer, and minus the time of a failure.
local function note_answer(store) redis.call('ZADD', key('answers'), now, store) end

-- A call that hangs keeps a thread for long, and a few such stores could keep all of them. So until one of its
-- calls is answered, a store has one refund in flight; and after several failures a rest, in which none starts, in
-- proportion to the time that the last one took. What fails at once costs next to nothing, and hardly rests.
local function rest(store, took_ms, failures)
    local rest_ms = failures >= CIRCUIT.REST_AFTER and math.min(CIRCUIT.CAP_MS, CIRCUIT.REST * took_ms) or 0
    redis.call('SET', key('resting', store), int(now + rest_ms), 'PX', int(rest_ms + CIRCUIT.WINDOW_MS))
end

-- How many refunds of a store may be in flight; until_ms: what rest() has set, if anything.
local function width_of(store, until_ms)
    if not until_ms or tonumber(redis.call('ZSCORE', key('answers'), store) or 0) > 0 then return WIDTH end
    if now >= tonumber(until_ms) then return 1 end
    redis.call('ZADD', key('paced'), until_ms, store)
    return 0
end

-- Note that Wix did not answer it. Where few stores have work, no outage shows, and each refund would run into
-- it by itself. So a store whose calls fail many times, with no answer in between, pauses its retries, and
-- longer each time. Only these: its broken orders must not hold up what Wix would answer.
local function note_failure(store, took_ms)
    local answers, run = key('answers'), key('unanswered', store)
    if tonumber(redis.call('ZSCORE', answers, store) or 0) > 0 then redis.call('DEL', run) end
    redis.call('ZADD', answers, -now, store)
    rest(store, took_ms, tonumber(redis.call('HGET', run, 'failures') or 0) + 1)
    -- A call that was under way when the pause began says nothing new.
    if now < tonumber(redis.call('HGET', run, 'until_ms') or 0) then return end
    local more, wait = redis.call('HINCRBY', run, 'failures', 1) - CIRCUIT.IN_A_ROW, 0
    if more >= 0 and more % CIRCUIT.PROBED == 0 then
        wait = math.min(CIRCUIT.CAP_MS, CIRCUIT.FIRST_MS * 2 ^ math.min(more / CIRCUIT.PROBED, 20))
        redis.call('HSET', run, 'until_ms', int(now + wait))
    end
    redis.call('PEXPIRE', run, int(wait + CIRCUIT.WINDOW_MS))
end

-- How long a refund that failed must not be tried again because its store pauses, ms. After the pause a few are
-- tried, one at a time, and the others wait a little for what becomes of it; they are not always the same.
local function retry_in_ms(id, store)
    local run = key('unanswered', store)
    local known = redis.call('HMGET', run, 'failures', 'until_ms', 'next_ms')
    if tonumber(known[1] or 0) < CIRCUIT.IN_A_ROW then return 0 end
    if tonumber(redis.call('ZSCORE', key('answers'), store) or 0) > 0 then
        redis.call('DEL', run)
        return 0
    end
    local at = math.max(tonumber(known[2] or 0), tonumber(known[3] or 0))
    if now >= at then
        redis.call('HSET', run, 'next_ms', int(now + CIRCUIT.FIRST_MS))
        return 0
    end
    -- Those that were tried least come first. Thousands are spread: the other stores' retries are behind them.
    local step, failing = CIRCUIT.FIRST_MS / 10, tonumber(redis.call('ZSCORE', key('failing_stores'), store) or 0)
    local drawn = tonumber(string.sub(redis.sha1hex(id .. int(now)), 1, 8), 16)
        % math.max(step, failing * CIRCUIT.APART_MS)
    return at - now + math.min(9, tonumber(record_of(id).attempt or 0)) * step + drawn
end

-- Whether the circuit holds back a store; if so, wake.lua tries its lane again.
local function is_cut_off(store)
    if is_quiet(store) then return false end
    local share = redis.call('HGET', key('outage'), 'share')
    if not share or tonumber(string.sub(redis.sha1hex(store), 1, 2), 16) < tonumber(share) then return false end
    redis.call('ZADD', key('paced'), now + CIRCUIT.AGAIN_MS, store)
    return true
end
