-- In front of every script, after counters.lua: what a server that restarted or took over may have
-- forgotten. An intent may be among it whose call is still on its way to Wix. The workers that made such
-- calls can name them (worker/ledger/vouching.py); who has done so has *vouched* for its calls.
--   {ns}:clock      run_id, doubt_ms: see clock.lua; asked_for, the doubt for which the workers are asked to
--                   vouch and the server's time then; doubted_until_ms, the latest time in {ns}:doubted;
--                   unresolved_ms, the last doubt but this one for which not all had vouched
--   {ns}:unvouched  ZSET worker that has not vouched -> the doubt for which it must; "*" stands for all
--                   those that nobody can ask
--   {ns}:doubted    ZSET STORE|ORDER of a call that a worker named -> until when it may take effect
local UNVOUCHED_MS = 30 * 86400000

-- Whether the workers were asked to vouch for a doubt. An adopted ledger asks nobody, nor does an older
-- version of the worker.
local function was_asked(doubt) return string.match(kept[7] or '', '^%d+') == int(doubt) end

-- Whether the server has started since the last tick that its data has: it has read the data from a disk, or
-- from a backup. A replica that takes over ran before.
local function has_restarted(info)
    local uptime_s = tonumber(string.match(info, 'uptime_in_seconds:(%d+)') or 0)
    local ticked = tonumber(kept[2] or 0) - tonumber(kept[1] or 0)
    -- The uptime counts whole seconds of the clock.
    local started_before = (math.floor(wall / 1000) - uptime_s + 1) * 1000
    -- A tick in its future: the clock of its machine was set back, or is behind that of the machine before, and
    -- says nothing. Nor does the uptime, which is measured by the same clock.
    return ticked < started_before or ticked > wall
end

-- Whether all have vouched for a doubt that was the latest until now. Who has not vouched for one that was older
-- than the settle delay when it came does not matter: each call of that one had taken effect by then, and its own
-- doubt is noted in unresolved_ms.
local function is_resolved(doubt)
    local oldest = doubt - (args.settle_delay_ms or UNVOUCHED_MS)
    return was_asked(doubt) and redis.call('ZCOUNT', ns .. ':unvouched', int(oldest), '+inf') == 0
end

-- Ask all workers that the data knows to vouch, also those that have left since its last tick.
local function ask_workers(info, before, doubt)
    local unvouched, names = ns .. ':unvouched', redis.call('ZRANGE', ns .. ':workers', 0, -1)
    for _, name in ipairs(redis.call('ZRANGEBYSCORE', ns .. ':left', kept[2] or 0, '+inf')) do names[#names + 1] = name end
    redis.call('ZREMRANGEBYSCORE', unvouched, '-inf', int(now - UNVOUCHED_MS))
    if before > 0 and not is_resolved(before) then
        kept[9] = int(before)
        redis.call('HSET', ns .. ':clock', 'unresolved_ms', kept[9])
    end
    if before > 0 and not was_asked(before) then redis.call('ZADD', unvouched, int(before), '*') end
    if #names == 0 or has_restarted(info) then redis.call('ZADD', unvouched, int(doubt), '*') end
    for _, name in ipairs(names) do redis.call('ZADD', unvouched, int(doubt), name) end
    kept[7] = int(doubt) .. '-' .. time[1] .. '.' .. time[2]
    redis.call('HSET', ns .. ':clock', 'asked_for', kept[7])
end

-- The id of the server that runs. A plain search, since a pattern takes as long as the command itself.
local function server_id(info) return string.match(info, '^run_id:(%w+)', (string.find(info, 'run_id:', 1, true))) end

-- When the server was last found to be another one than the ledger remembers, by the ledger's clock;
-- 0 for never. Until what it may have forgotten can no longer take effect, or the workers have vouched,
-- nothing is changed at Wix. A new ledger has nothing to lose; each tick looks, so that every other one
-- knows its server. The second result is whether only the next tick can say it: the clock stands still until
-- then, and from the time of a backup the tick would go beyond the end of the wait.
local function server_lost_writes_at()
    local info = redis.call('INFO', 'server')
    local server = server_id(info)
    local known, doubt = kept[3], tonumber(kept[4] or 0)
    if known and known ~= server and last > 0 and wall + offset > last + AHEAD_MS then return now, true end
    if known ~= server then
        if known then
            local before = doubt
            doubt = math.max(now, before + 1)
            ask_workers(info, before, doubt)
        end
        kept[3], kept[4] = server, int(doubt)
        redis.call('HSET', ns .. ':clock', 'run_id', server, 'doubt_ms', int(doubt))
    end
    return doubt
end

-- The ledger's era, on a server that it knows: another one begins with each doubt for which the workers are
-- asked, and on each server. So a server that was replaced, and still answers, has an older one.
local function era() return kept[3] .. '|' .. (kept[7] or '') end
