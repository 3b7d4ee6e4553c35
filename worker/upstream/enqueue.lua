-- Enqueue a message; a repeat of the same id is not queued twice (pitfall 8). Upstream runs this
-- script, so it touches nothing but the queue: see "Who may do what" in worker/operations/README.md.
-- KEYS: list of ids, messages. ARGV: id, message.
-- Returns 1.
if redis.call('HSET', KEYS[2], ARGV[1], ARGV[2]) == 1 then redis.call('RPUSH', KEYS[1], ARGV[1]) end
return 1
