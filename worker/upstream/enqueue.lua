-- Enqueue messages of jobs. A job's message has the id of its refund, so that it is found at once, unless
-- an earlier message of this refund is still there, or the user may not ask: then it has its own. A repeat
-- of the same message is not queued twice (pitfall 8). Upstream runs this script, so it touches nothing
-- but the queue: see "Who may do what" in worker/operations/README.md.
-- KEYS: list of ids, messages. ARGV: id of the refund's message, own id, message, and so on.
-- Returns 1.
local PER_CALL = 1000
local ids = {}
for place = 1, #ARGV, 3 do
    local id, own, message = ARGV[place], ARGV[place + 1], ARGV[place + 2]
    if redis.pcall('HSETNX', KEYS[2], id, message) == 1 then
        ids[#ids + 1] = id
    elseif redis.pcall('HGET', KEYS[2], id) ~= message and redis.call('HSET', KEYS[2], own, message) == 1 then
        ids[#ids + 1] = own
    end
end
for first = 1, #ids, PER_CALL do
    redis.call('RPUSH', KEYS[1], unpack(ids, first, math.min(first + PER_CALL - 1, #ids)))
end
return 1
