-- End a suspension.
-- args: store_id; epoch ("" for any); outcome; nonce; act, if any.
-- Returns 1 | 0.
-- A repeat of this call, whose first reply was lost.
if redis.call('HGET', key('store', args.store_id), 'resumed_by') == args.nonce then return 1 end
local suspended = key('suspended', args.store_id)
local epoch = redis.call('HGET', suspended, 'epoch')
if not epoch or (args.epoch ~= '' and args.epoch ~= epoch) then return 0 end
redis.call('HDEL', key('worked', args.store_id), redis.call('HGET', suspended, 'endpoint'))
redis.call('HINCRBY', key('store', args.store_id), 'epoch', 1)
redis.call('HSET', key('store', args.store_id), 'resumed_by', args.nonce)
release(args.store_id, args.outcome)
record_act()
admit(args.store_id)
return 1
