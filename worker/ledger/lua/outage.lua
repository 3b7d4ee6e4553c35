-- Look, every second, whether Wix is down for most stores: open the circuit, say which stores to probe,
-- close it step by step. When it begins to close, retries are spread anew over a minute.
-- args: probed; answered, failed (stores, if they were probed).
-- Returns {opened | closed | "", stores that fail, stores that Wix answers, ms since it opened, store to probe, ...}.
local outage, answers = key('outage'), key('answers')
local known = redis.call('HMGET', outage, 'since_ms', 'share', 'next_ms', 'probes', 'spread_from_ms', 'kept')
local since, share, next_ms, probes = tonumber(known[1]), tonumber(known[2]), tonumber(known[3]), tonumber(known[4])
local spread_from, kept = tonumber(known[5]), tonumber(known[6] or 0)
local old = now - CIRCUIT.WINDOW_MS

-- A store that has not been asked for a minute says nothing; while the circuit is open, none is asked.
if share ~= 0 then redis.call('ZREMRANGEBYSCORE', answers, '(' .. int(-old), '(' .. int(old)) end
local failing = redis.call('ZCOUNT', answers, '-inf', '(0')
local answering = redis.call('ZCOUNT', answers, 0, '+inf')
local is_down = failing >= CIRCUIT.LEAST and failing > answering

-- The waits of failed refunds were drawn while Wix was down. LIMIT: a piece at a time.
if spread_from then
    local due = redis.call('ZRANGEBYSCORE', key('due'), '(' .. int(spread_from), '+inf', 'LIMIT', kept, CIRCUIT.PIECE)
    for _, id in ipairs(due) do
        if tonumber(redis.call('HGET', key('refund', id), 'failing_since_ms') or 0) > 0 then
            local at = now + tonumber(string.sub(redis.sha1hex(id), 1, 8), 16) % CIRCUIT.SPREAD_MS
            redis.call('ZADD', key('due'), at, id)
            redis.call('HSET', key('refund', id), 'due_at_ms', int(at))
        else
            kept = kept + 1
        end
    end
    redis.call('HSET', outage, 'kept', kept)
    if #due < CIRCUIT.PIECE then
        redis.call('HDEL', outage, 'spread_from_ms', 'kept')
        spread_from = nil
    end
end

if not since then
    if not is_down then return {'', failing, answering, 0} end
    redis.call('HSET', outage, 'since_ms', int(now), 'share', 0, 'next_ms', int(now + CIRCUIT.FIRST_MS), 'probes', 0)
    return {'opened', failing, answering, 0}
end
if share == 0 and args.probed then
    if args.answered <= args.failed then return {'', failing, answering, now - since} end
    redis.call('DEL', answers)
    redis.call('HSET', outage, 'share', CIRCUIT.SHARE, 'next_ms', int(now + CIRCUIT.STEP_MS), 'kept', 0,
        'spread_from_ms', int(now + CIRCUIT.SPREAD_MS))
elseif share > 0 and is_down then
    redis.call('HSET', outage, 'share', 0, 'next_ms', int(now + CIRCUIT.FIRST_MS), 'probes', 0)
elseif now >= next_ms and share > 0 then
    if share < 256 then
        redis.call('HSET', outage, 'share', share * 4, 'next_ms', int(now + CIRCUIT.STEP_MS))
    elseif not spread_from then
        redis.call('DEL', outage)
        return {'closed', failing, answering, now - since}
    end
elseif now >= next_ms then
    local wait = math.min(CIRCUIT.CAP_MS, CIRCUIT.FIRST_MS * 2 ^ math.min(probes + 1, 20))
    redis.call('HSET', outage, 'next_ms', int(now + wait), 'probes', probes + 1)
    local first = probes * CIRCUIT.PROBED % math.max(1, failing)
    return {'', failing, answering, now - since,
        unpack(redis.call('ZRANGEBYSCORE', answers, '-inf', '(0', 'LIMIT', first, CIRCUIT.PROBED))}
end
return {'', failing, answering, now - since}
