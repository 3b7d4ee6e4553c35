-- In front of every script, after clock.lua: small counters for people, by the server's own time. The
-- rings are bounded: a slot is emptied when its next turn comes.
--   {ns}:minute:N  HASH at (the minute it counts), and counts; N from 0 to 1439: the last day
--   {ns}:day:N     HASH at (the day), and counts; N from 0 to 31
--   {ns}:totals    HASH counts since the beginning: accepted, ended<US>STATE<US>FLOW<US>REASON and
--                  units<US>CURRENCY (ten-thousandths), where <US> is the character 31
local RINGS = {minute = {60000, 1440}, day = {86400000, 32}}

-- Add to counts of the present minute or day: {field: whole number, or its digits}.
local function add_counts(ring, counts)
    if not next(counts) then return end
    local length_ms, slots = RINGS[ring][1], RINGS[ring][2]
    local at = math.floor(wall / length_ms)
    local slot = ns .. ':' .. ring .. ':' .. at % slots
    if redis.call('HGET', slot, 'at') ~= int(at) then
        redis.call('DEL', slot)
        redis.call('HSET', slot, 'at', int(at))
    end
    for field, number in pairs(counts) do redis.call('HINCRBY', slot, field, number) end
end

-- Add to counts since the beginning: {field: whole number, or its digits}.
local function add_totals(counts)
    for field, number in pairs(counts) do redis.call('HINCRBY', ns .. ':totals', field, number) end
end
