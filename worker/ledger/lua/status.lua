-- How things stand, in time that does not depend on the number of refunds. Changes nothing.
-- args: active (states in which a transition is due), ended (the others); queues; limit (of each list);
--       minutes (how many of the last ones), overdue_ms, dead_after_ms; lanes (of how many stores).
-- Returns a JSON object; worker/operations/status.py says what its parts mean.
--
-- The ledger's clock stands still soon after the last tick, so that nothing is woken too early. Here it
-- goes on: otherwise workers that all died would look alive, and nothing would be overdue.
local now = wall + offset
local is_asked = was_asked(tonumber(kept[4] or 0))
local function with_fields(ids, name, ...)
    local found = {}
    for place, id in ipairs(ids) do
        found[place] = {id = id}
        for field, value in ipairs(redis.call('HMGET', key(name, id), ...)) do
            found[place][select(field, ...)] = value or ''
        end
    end
    return found
end

local function head(queue)
    local first = redis.call('LINDEX', key(queue), 0)
    local text = first and redis.call('HGET', key(queue .. '.msgs'), first)
    local is_read, message = pcall(cjson.decode, text or '')
    local since = is_read and type(message) == 'table' and tonumber(message.message_timestamp)
    return {length = redis.call('LLEN', key(queue)), since_ms = since or 0}
end

local function first_score(list)
    return tonumber(redis.call('ZRANGE', list, 0, 0, 'WITHSCORES')[2] or 0)
end

local function ring(base, length_ms, slots, count)
    local found, at = {}, math.floor(wall / length_ms)
    for back = count - 1, 0, -1 do
        local counts, flat = {}, redis.call('HGETALL', base .. ':' .. (at - back) % slots)
        for place = 1, #flat, 2 do counts[flat[place]] = flat[place + 1] end
        found[#found + 1] = counts.at == int(at - back) and counts or {at = int(at - back)}
    end
    return found
end

local states, oldest = {}, 0
for _, state in ipairs(args.active) do
    states[state] = redis.call('ZCARD', key('state', state))
    local first = first_score(key('state', state))
    if first > 0 and (oldest == 0 or first < oldest) then oldest = first end
end
for _, state in ipairs(args.ended) do states[state] = redis.call('ZCARD', key('state', state)) end

local queues = {}
for _, queue in ipairs(args.queues) do queues[queue] = head(queue) end
local names = redis.call('ZREVRANGE', key('workers'), 0, args.limit - 1)
local workers = with_fields(names, 'worker', 'version', 'threads', 'busy', 'host', 'pid', 'started_at_ms')
for _, worker in ipairs(workers) do
    worker.beat_ms = tonumber(redis.call('ZSCORE', key('workers'), worker.id))
    worker.holds = {}
    for _, queue in ipairs(args.queues) do
        worker.holds[queue] = redis.call('LLEN', key(queue, 'inflight', worker.id))
    end
end

local suspended = with_fields(redis.call('ZRANGE', key('probes'), 0, args.limit - 1), 'suspended', 'since_ms', 'reason')
local failing = with_fields(redis.call('ZREVRANGE', key('failing_stores'), 0, args.limit - 1), 'store',
    'failing_since_ms', 'last_error', 'last_error_at_ms')
for _, store in ipairs(failing) do store.refunds = tonumber(redis.call('ZSCORE', key('failing_stores'), store.id)) end
local groups, flat = {}, redis.call('HGETALL', key('dead_groups', 'reason'))
for place = 1, #flat, 2 do groups[flat[place]] = flat[place + 1] end

local keeping, kept = {}, redis.call('HGETALL', key('keeping'))
for place = 1, #kept, 2 do keeping[kept[place]] = kept[place + 1] end

local oldest_outcome = redis.call('XRANGE', key('outcomes'), '-', '+', 'COUNT', 1)[1]

local paused, held = {}, redis.call('HSCAN', key('paused'), '0', 'COUNT', args.limit)[2]
for place = 1, #held, 2 do paused[held[place]] = held[place + 1] end

local sums, flat_sums = {}, redis.call('HGETALL', key('approval_sums'))
for place = 1, #flat_sums, 2 do sums[flat_sums[place]] = flat_sums[place + 1] end
local waiting = with_fields(redis.call('ZRANGE', key('approvals'), 0, args.limit - 1), 'refund', 'store_id', 'hold_at_ms',
    'hold', 'approval', 'approvals')

local totals, flat_totals = {}, redis.call('HGETALL', key('totals'))
for place = 1, #flat_totals, 2 do totals[flat_totals[place]] = flat_totals[place + 1] end
local lanes, lined_up = {}, args.lanes > 0 and redis.call('SSCAN', key('busy_stores'), '0', 'COUNT', args.lanes)[2] or {}
for place = 1, math.min(#lined_up, args.lanes) do
    lanes[lined_up[place]] = redis.call('ZCARD', key('lane', lined_up[place]))
end

return cjson.encode({
    totals = totals, lanes = lanes, ring = redis.call('ZCARD', key('ring')),
    paused_count = redis.call('HLEN', key('paused')),
    paced_until_ms = tonumber(redis.call('ZREVRANGE', key('paced'), 0, 0, 'WITHSCORES')[2] or 0),
    listed = redis.call('ZCARD', key('workers')),
    alive = redis.call('ZCOUNT', key('workers'), int(now - args.dead_after_ms), '+inf'),
    now_ms = now, wall_ms = wall, states = states, oldest_ms = oldest, queues = queues, workers = workers,
    due = {
        count = redis.call('ZCARD', key('due')), next_ms = first_score(key('due')),
        overdue = redis.call('ZCOUNT', key('due'), '-inf', int(now - args.overdue_ms)),
    },
    failing = {count = redis.call('ZCARD', key('failing')), since_ms = first_score(key('failing'))},
    leader = redis.call('GET', key('scheduler')) or '',
    ticked = redis.call('HMGET', key('clock'), 'last_ms', 'reconciled_ms', 'doubt_ms'),
    -- Who has not vouched since Redis was replaced, and since when; nil if nobody was asked.
    unvouched = is_asked and redis.call('ZREVRANGE', key('unvouched'), 0, args.limit - 1, 'WITHSCORES') or nil,
    keeping = keeping,
    outcomes = {count = redis.call('XLEN', key('outcomes')), first = oldest_outcome and oldest_outcome[1] or ''},
    on_hold = redis.call('ZCARD', key('on_hold')),
    paused = paused,
    approvals = {count = redis.call('ZCARD', key('approvals')), sums = sums, refunds = waiting},
    outage = redis.call('HMGET', key('outage'), 'since_ms', 'share'),
    suspended = {count = redis.call('ZCARD', key('probes')), stores = suspended},
    paced = {count = redis.call('ZCARD', key('paced')), stores = redis.call('ZRANGE', key('paced'), 0, args.limit - 1)},
    failing_stores = {count = redis.call('ZCARD', key('failing_stores')), stores = failing},
    dead = {
        refunds = redis.call('ZCARD', key('dead')), since_ms = first_score(key('dead')),
        messages = redis.call('HLEN', key('quarantine')), groups = groups,
    },
    accepted = redis.call('ZCARD', key('accepted')), watched = redis.call('ZCARD', key('watch')),
    minutes = ring(key('minute'), 60000, 1440, args.minutes), today = ring(key('day'), 86400000, 32, 1)[1],
})
