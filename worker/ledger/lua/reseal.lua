-- The same key, sealed anew, unless it was exchanged meanwhile. Returns 1 | 0.
local s = key('store', a.store_id)
local sealed = redis.call('HGET', s, 'sealed')
if sealed == a.new then return 1 end
if sealed ~= a.old then return 0 end
redis.call('HSET', s, 'sealed', a.new)
return 1
