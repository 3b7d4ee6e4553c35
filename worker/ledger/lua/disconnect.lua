-- Forget a store's key. What still comes to a step of it becomes a dead letter there. Returns 1 | 0.
local s = key('store', a.store_id)
if redis.call('HDEL', s, 'sealed') == 0 then return 0 end
redis.call('HDEL', s, 'profile', 'connected_by', 'connected_at_ms', 'last_error', 'last_error_at_ms')
redis.call('HSET', s, 'disconnected_at_ms', int(now))
redis.call('HINCRBY', s, 'epoch', 1)
redis.call('ZREM', key('stores'), a.store_id)
redis.call('ZREM', key('probes'), a.store_id)
redis.call('DEL', key('worked', a.store_id), key('suspended', a.store_id))
publish_store(a.store_id, a.outcome)
admit(a.store_id)
return 1
