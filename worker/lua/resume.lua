-- End a suspension (a.epoch: only of this epoch). Returns 1 | 0.
local suspended = key('suspended', a.store_id)
local epoch = redis.call('HGET', suspended, 'epoch')
if not epoch or (a.epoch ~= '' and a.epoch ~= epoch) then return 0 end
redis.call('HDEL', key('worked', a.store_id), redis.call('HGET', suspended, 'endpoint'))
redis.call('HINCRBY', key('store', a.store_id), 'epoch', 1)
release(a.store_id, a.outcome)
admit(a.store_id)
return 1
