-- End a suspension (a.epoch: only of this epoch). Returns 1 | 0.
-- A repeat of this very call, whose reply was lost.
if redis.call('HGET', key('store', a.store_id), 'resumed_by') == a.nonce then return 1 end
local suspended = key('suspended', a.store_id)
local epoch = redis.call('HGET', suspended, 'epoch')
if not epoch or (a.epoch ~= '' and a.epoch ~= epoch) then return 0 end
redis.call('HDEL', key('worked', a.store_id), redis.call('HGET', suspended, 'endpoint'))
redis.call('HINCRBY', key('store', a.store_id), 'epoch', 1)
redis.call('HSET', key('store', a.store_id), 'resumed_by', a.nonce)
release(a.store_id, a.outcome)
admit(a.store_id)
return 1
