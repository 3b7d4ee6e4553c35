-- Forget a store's key. A step of the store that still runs ends in a dead letter.
-- args: store_id; outcome; act, if any.
-- Returns 1 | 0.
local entry = key('store', args.store_id)
if redis.call('HDEL', entry, 'sealed') == 0 then return 0 end
redis.call('HDEL', entry, 'profile', 'connected_by', 'connected_at_ms', 'last_error', 'last_error_at_ms')
redis.call('HSET', entry, 'disconnected_at_ms', int(now))
redis.call('HINCRBY', entry, 'epoch', 1)
redis.call('ZREM', key('stores'), args.store_id)
redis.call('ZREM', key('probes'), args.store_id)
redis.call('DEL', key('worked', args.store_id), key('lacking', args.store_id), key('suspended', args.store_id))
stop_observing(args.store_id)
publish_store(args.store_id, args.outcome)
record_act()
admit(args.store_id)
return 1
