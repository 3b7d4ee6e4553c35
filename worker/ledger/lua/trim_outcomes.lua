-- Trim outcomes that are older than keep_ms, but none that a consumer group has not read yet, or has not
-- acknowledged, and none that a webhook has not processed. What a group needs is looked for among its first
-- pending entries. A webhook that no worker has had in its settings for a week needs nothing.
-- args: keep_ms; limit (how many are trimmed at most), pending (how many entries are looked at).
-- Returns {how many were trimmed; group or webhook, the time of the first old outcome that it needs, ...}.
local stream = key('outcomes')
if redis.call('EXISTS', stream) == 0 then return {0} end

-- The two numbers of an outcome's position: milliseconds, and a number within the millisecond.
local function place_of(id)
    local ms, number = string.match(id, '^(%d+)-(%d+)$')
    return tonumber(ms), tonumber(number)
end

local function is_before(one, other)
    local ms, number = place_of(one)
    local other_ms, other_number = place_of(other)
    return ms < other_ms or ms == other_ms and number < other_number
end

local function exists(id) return #redis.call('XRANGE', stream, id, id) > 0 end

-- The first outcome that a group has read but not acknowledged; entries that are gone do not count.
local function first_pending(group)
    local last
    for _, entry in ipairs(redis.call('XPENDING', stream, group, '-', '+', args.pending)) do
        if exists(entry[1]) then return entry[1] end
        last = entry[1]
    end
    return last
end

-- The first outcome that a group has not read.
local function first_unread(delivered)
    local entry = redis.call('XRANGE', stream, '(' .. delivered, '+', 'COUNT', 1)[1]
    return entry and entry[1]
end

local WEEK_MS = 604800000
local found, keep_from = {0}, int(wall - args.keep_ms) .. '-0'
local first = keep_from
local function note_need(who, needed)
    if needed == keep_from then return end
    found[#found + 1] = who
    found[#found + 1] = int(place_of(needed))
    first = is_before(needed, first) and needed or first
end
for _, flat in ipairs(redis.call('XINFO', 'GROUPS', stream)) do
    local group = {}
    for place = 1, #flat, 2 do group[flat[place]] = flat[place + 1] end
    local needed = keep_from
    for _, id in ipairs({first_unread(group['last-delivered-id']) or needed, first_pending(group.name) or needed}) do
        if is_before(id, needed) then needed = id end
    end
    note_need(group.name, needed)
end
for _, name in ipairs(redis.call('ZRANGEBYSCORE', key('webhooks'), now - WEEK_MS, '+inf')) do
    local needed = first_unread(redis.call('HGET', key('webhook', name), 'cursor') or '0-0')
    if needed and is_before(needed, keep_from) then note_need('webhook ' .. name, needed) end
end
-- Only whole nodes of the stream, which costs little; the rest goes with the next ones.
found[1] = redis.call('XTRIM', stream, 'MINID', '~', first, 'LIMIT', args.limit)
return found
