-- A checked key is saved, or exchanged; the lane goes on. Returns connected | rotated.
local s = key('store', a.store_id)
local verdict = redis.call('HEXISTS', s, 'sealed') == 1 and 'rotated' or 'connected'
-- A repeat of this very call, whose reply was lost.
if redis.call('HGET', s, 'connected_by') == a.nonce then return verdict end
redis.call('HDEL', s, 'disconnected_at_ms', 'last_error', 'last_error_at_ms')
redis.call('HSET', s, 'sealed', a.sealed, 'profile', a.profile, 'connected_by', a.nonce, 'connected_at_ms', int(now))
redis.call('HINCRBY', s, 'epoch', 1)
redis.call('ZADD', key('stores'), 'NX', now, a.store_id)
redis.call('DEL', key('worked', a.store_id))
for _, endpoint in ipairs(a.worked) do redis.call('HSET', key('worked', a.store_id), endpoint, int(now)) end
publish_store(a.store_id, a.outcome)
release(a.store_id, a.resumed)
admit(a.store_id)
return verdict
