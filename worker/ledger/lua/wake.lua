-- The scheduler's tick: whoever holds the lead wakes what is due. Returns {leads, woken}.
local lead = key('scheduler')
local leader = redis.call('GET', lead)
if leader and leader ~= a.worker_id then return {0, 0} end
redis.call('SET', lead, a.worker_id, 'PX', a.lead_ms)
local due = redis.call('ZRANGEBYSCORE', key('due'), '-inf', now, 'LIMIT', 0, a.limit)
for _, id in ipairs(due) do
    redis.call('ZREM', key('due'), id)
    redis.call('HSET', key('refund', id), 'due_at_ms', 0)
    line_up(id, redis.call('HGET', key('refund', id), 'store_id'))
end
-- Stores that were over their rate.
for _, store in ipairs(redis.call('ZRANGEBYSCORE', key('paced'), '-inf', now, 'LIMIT', 0, a.limit)) do
    redis.call('ZREM', key('paced'), store)
    admit(store)
end
-- Finished refunds that are watched: should the message be lost, the next look is not.
for _, id in ipairs(redis.call('ZRANGEBYSCORE', key('watch'), '-inf', now, 'LIMIT', 0, a.limit)) do
    redis.call('ZADD', key('watch'), now + a.watch_again_ms, id)
    send(id, 'recheck_refund')
end
return {1, #due}
