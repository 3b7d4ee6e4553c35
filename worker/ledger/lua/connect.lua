-- Save or replace a store's encrypted key; its lane continues.
-- args: store_id; sealed, profile (JSON); accepted_endpoints (that accepted the key);
--       outcome (connected), resumed (outcome); nonce; act, if any.
-- Returns connected | rotated.
local entry = key('store', args.store_id)
local status = redis.call('HEXISTS', entry, 'sealed') == 1 and 'rotated' or 'connected'
-- A repeat of this call, whose first reply was lost.
if redis.call('HGET', entry, 'connected_by') == args.nonce then return status end
redis.call('HDEL', entry, 'disconnected_at_ms', 'last_error', 'last_error_at_ms')
redis.call('HSET', entry, 'sealed', args.sealed, 'profile', args.profile, 'connected_by', args.nonce,
    'connected_at_ms', int(now))
redis.call('HINCRBY', entry, 'epoch', 1)
redis.call('ZADD', key('stores'), 'NX', now, args.store_id)
redis.call('DEL', key('worked', args.store_id), key('lacking', args.store_id))
record_accepted(args.store_id)
publish_store(args.store_id, args.outcome)
release(args.store_id, args.resumed)
record_act()
admit(args.store_id)
return status
