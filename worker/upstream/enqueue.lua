-- Enqueue messages; a repeat of the same id is not queued twice (pitfall 8). Upstream runs this
-- script, so it touches nothing but the queue: see "Who may do what" in worker/operations/README.md.
-- KEYS: list of ids, messages. ARGV: id, message, id, message, ...
-- Returns 1.
for place = 1, #ARGV, 2 do
    local id, message = ARGV[place], ARGV[place + 1]
    if redis.call('HSET', KEYS[2], id, message) == 1 then redis.call('RPUSH', KEYS[1], id) end
end
return 1
