-- In front of every script, after clock.lua: small counters for people, by the server's own time. The
-- rings are bounded: a slot is emptied when its next turn comes.
--   {ns}:minute:N  HASH at (the minute it counts), and counts; N from 0 to 1439: the last day
--   {ns}:day:N     HASH at (the day), and counts; N from 0 to 31
--   {ns}:totals    HASH counts since the beginning: accepted, ended<US>STATE<US>FLOW<US>REASON and
--                  units<US>CURRENCY (ten-thousandths), where <US> is the character 31

-- Empty the slot of the present minute or day, if it has counted another one. {ns}:clock holds the
-- last one that was looked at, so that most scripts need not look.
local function empty_slot(slot, ring, at, place)
    if kept[place] == int(at) then return end
    if redis.call('HGET', slot, 'at') ~= int(at) then
        redis.call('DEL', slot)
        redis.call('HSET', slot, 'at', int(at))
    end
    redis.call('HSET', ns .. ':clock', ring, int(at))
    kept[place] = int(at)
end

-- Add to counts of the present minute or day: {field: whole number, or its digits}.
local function add_counts(ring, counts)
    if not next(counts) then return end
    -- The place is that of the last minute or day in what was read of {ns}:clock.
    local length_ms, slots, place = 60000, 1440, 5
    if ring == 'day' then length_ms, slots, place = 86400000, 32, 6 end
    local at = math.floor(wall / length_ms)
    local slot = ns .. ':' .. ring .. ':' .. at % slots
    empty_slot(slot, ring, at, place)
    for field, number in pairs(counts) do redis.call('HINCRBY', slot, field, number) end
end

-- Add to counts since the beginning: {field: whole number, or its digits}.
local function add_totals(counts)
    for field, number in pairs(counts) do redis.call('HINCRBY', ns .. ':totals', field, number) end
end
