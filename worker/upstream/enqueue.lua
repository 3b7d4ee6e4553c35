-- Enqueue messages of jobs. A job's message has the id of its refund, so that it is found at once, unless
-- an earlier message of this refund is still there, or the user may not ask: then it has its own. A repeat
-- of the same message is not queued twice (pitfall 8). Upstream runs this script, so it touches nothing
-- but the queue: see "Who may do what" in worker/operations/README.md.
-- KEYS: list of ids, messages. ARGV: id of the refund's message, own id, message, and so on.
-- Returns 1.
local PER_CALL = 500
for first = 1, #ARGV, 3 * PER_CALL do
    local places, ids, new, written = {}, {}, {}, {}
    for at = first, math.min(first + 3 * PER_CALL, #ARGV) - 1, 3 do places[#places + 1] = ARGV[at] end
    -- A user that may not read the queue cannot ask for all at once; then it takes longer.
    local found = redis.pcall('HMGET', KEYS[2], unpack(places))
    for place, id in ipairs(places) do
        local own, message = ARGV[first + 3 * place - 2], ARGV[first + 3 * place - 1]
        local before = written[id] or found[place]
        if not found.err and not before then
            new[#new + 1], new[#new + 2] = id, message
            written[id], ids[#ids + 1] = message, id
        elseif found.err and redis.pcall('HSETNX', KEYS[2], id, message) == 1 then
            ids[#ids + 1] = id
        elseif (before or redis.pcall('HGET', KEYS[2], id)) ~= message then
            if redis.call('HSET', KEYS[2], own, message) == 1 then ids[#ids + 1] = own end
        end
    end
    if #new > 0 then redis.call('HSET', KEYS[2], unpack(new)) end
    if #ids > 0 then redis.call('RPUSH', KEYS[1], unpack(ids)) end
end
return 1
