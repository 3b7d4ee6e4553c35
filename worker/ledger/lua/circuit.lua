-- In front of every script of the ledger, before rate.lua: whether Wix is down for most stores.
-- scripts.py puts in the numbers of CIRCUIT (circuit.py).
--
-- While it is, the circuit is open, and no refund starts. When Wix answers the probes, the share of the
-- stores whose refunds start grows step by step (outage.lua).

-- Note that Wix answered the last call of a step. answers:STORE would be one key per store, so this is one
-- set: the time of an answer, and minus the time of a failure.
local function note_answer(store) redis.call('ZADD', key('answers'), now, store) end

-- How many refunds of a store may be in flight; is_resting: whether several calls failed lately. A call that hangs keeps a
-- thread for long, and a few such stores could keep all of them. Beside a retry there is room for a new refund.
local function width_of(store, is_resting)
    local is_answered = not is_resting or tonumber(redis.call('ZSCORE', key('answers'), store) or 0) > 0
    return is_answered and WIDTH or math.min(WIDTH, CIRCUIT.NARROW)
end

-- Note that Wix did not answer it. Where few stores have work, no outage shows, and each refund would run into
-- it by itself. So a store whose calls fail many times, with no answer in between, pauses its retries, and
-- longer each time. Only these: its broken orders must not hold up what Wix would answer. After several calls that
-- hang, they also rest in proportion to the time that the last one took.
local function note_failure(store, took_ms)
    local answers, run = key('answers'), key('unanswered', store)
    if tonumber(redis.call('ZSCORE', answers, store) or 0) > 0 then redis.call('DEL', run) end
    redis.call('ZADD', answers, -now, store)
    local rest_ms = math.min(CIRCUIT.CAP_MS, CIRCUIT.REST * took_ms)
    if tonumber(redis.call('HGET', run, 'failures') or 0) + 1 >= CIRCUIT.REST_AFTER then
        redis.call('SET', key('resting', store), int(now + rest_ms), 'PX', int(rest_ms + CIRCUIT.WINDOW_MS))
    end
    -- A call that was under way when the pause began says nothing new.
    if now < tonumber(redis.call('HGET', run, 'until_ms') or 0) then return end
    local more, wait = redis.call('HINCRBY', run, 'failures', 1) - CIRCUIT.IN_A_ROW, 0
    if more >= 0 and more % CIRCUIT.PROBED == 0 then
        wait = math.min(CIRCUIT.CAP_MS, CIRCUIT.FIRST_MS * 2 ^ math.min(more / CIRCUIT.PROBED, 20))
        redis.call('HSET', run, 'until_ms', int(now + wait))
    end
    redis.call('PEXPIRE', run, int(math.max(wait, rest_ms) + CIRCUIT.WINDOW_MS))
end

-- Until when the retries of a store pause or rest, whose last call failed at failed_at; 0 if they do not. While
-- others of its refunds start (is_free: none does), each of their failures would begin the rest anew.
local function paused_until(store, failed_at, failures, until_ms, is_free)
    local rested_at = tonumber(redis.call('GET', key('resting', store)) or 0)
    -- What fails at once costs next to nothing, and rests only when many have failed.
    local hangs = failed_at > 0 and rested_at - failed_at >= CIRCUIT.FIRST_MS
    if failures < CIRCUIT.IN_A_ROW and not hangs then return 0 end
    return math.max(now, is_free and rested_at or 0, until_ms)
end

-- How long a refund that failed must not be tried again because its store pauses, ms. After the pause a few are
-- tried, one at a time, and the others wait a little for what becomes of it; they are not always the same. What has
-- not failed yet goes first; but one is tried each minute. The second result is whether this try is the last one:
-- many refunds share those few, and a person must be told in time. An outage of most stores ends none.
local function retry_in_ms(id, store)
    local run = key('unanswered', store)
    local known = redis.call('HMGET', run, 'failures', 'until_ms', 'tried_ms')
    local failures, last_ms = tonumber(known[1] or 0), tonumber(redis.call('ZSCORE', key('answers'), store) or 0)
    if last_ms > 0 then redis.call('DEL', run) end
    if failures == 0 or last_ms > 0 then return 0, false end
    local is_late = now >= tonumber(record_of(id).failing_since_ms) + RETRY_FOR_MS + CIRCUIT.LATE_MS
    local is_free = redis.call('ZCARD', key('lane', store)) + redis.call('ZCARD', key('busy', store)) == 0
    local at = paused_until(store, -last_ms, failures, is_late and 0 or tonumber(known[2] or 0), is_free)
    if at == 0 then return 0, false end
    at = math.max(at, tonumber(known[3] or 0) + (is_free and CIRCUIT.FIRST_MS or CIRCUIT.CAP_MS))
    if now >= at then
        redis.call('HSET', run, 'tried_ms', int(now))
        return 0, is_late and redis.call('EXISTS', key('outage')) == 0
    end
    -- Those that were tried least come first. Thousands are spread: the other stores' retries are behind them.
    local step, failing = CIRCUIT.FIRST_MS / 10, tonumber(redis.call('ZSCORE', key('failing_stores'), store) or 0)
    local drawn = tonumber(string.sub(redis.sha1hex(id .. int(now)), 1, 8), 16)
        % math.max(step, failing * CIRCUIT.APART_MS)
    return at - now + math.min(9, tonumber(record_of(id).attempt or 0)) * step + drawn, false
end

-- Whether the circuit holds back a store; if so, wake.lua tries its lane again.
local function is_cut_off(store)
    if is_quiet(store) then return false end
    local share = redis.call('HGET', key('outage'), 'share')
    if not share or tonumber(string.sub(redis.sha1hex(store), 1, 2), 16) < tonumber(share) then return false end
    redis.call('ZADD', key('paced'), now + CIRCUIT.AGAIN_MS, store)
    return true
end
