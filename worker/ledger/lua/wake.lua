-- The scheduler's tick: the worker that leads wakes what is due.
-- args: worker_id, lead_ms; limit; watch_again_ms.
-- Returns {leads 1 | 0, number of refunds woken}.
local lead = key('scheduler')
local leader = redis.call('GET', lead)
if leader and leader ~= args.worker_id then return {0, 0} end
redis.call('SET', lead, args.worker_id, 'PX', args.lead_ms)
local due = redis.call('ZRANGEBYSCORE', key('due'), '-inf', now, 'LIMIT', 0, args.limit)
for _, id in ipairs(due) do
    redis.call('ZREM', key('due'), id)
    redis.call('HSET', key('refund', id), 'due_at_ms', 0)
    line_up(id, redis.call('HGET', key('refund', id), 'store_id'))
end
-- Stores that were over their rate.
for _, store in ipairs(redis.call('ZRANGEBYSCORE', key('paced'), '-inf', now, 'LIMIT', 0, args.limit)) do
    redis.call('ZREM', key('paced'), store)
    admit(store)
end
-- Finished refunds that are watched. If the message is lost, they are looked at later.
for _, id in ipairs(redis.call('ZRANGEBYSCORE', key('watch'), '-inf', now, 'LIMIT', 0, args.limit)) do
    redis.call('ZADD', key('watch'), now + args.watch_again_ms, id)
    send(id, 'recheck_refund')
end
return {1, #due}
