-- In front of scripts that need to know how many cells there are (worker/cells/README.md).

-- How many cells are recorded, and since when, by the ledger's clock. An older version writes the number
-- alone: then it counts as recorded now.
local function growth()
    local hash = key('installation')
    local found = redis.call('HMGET', hash, 'cells', 'grown_to', 'grown_at_ms')
    local cells = found[1] or '1'
    if cells ~= (found[2] or '1') then
        found[3] = int(now)
        redis.call('HSET', hash, 'grown_to', cells, 'grown_at_ms', found[3])
    end
    return tonumber(cells), tonumber(found[3] or 0)
end
