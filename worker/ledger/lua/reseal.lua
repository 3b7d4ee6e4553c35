-- Replace an encrypted key by the same key, encrypted again, unless it was exchanged meanwhile.
-- args: store_id; old, new; act, if any.
-- Returns 1 | 0.
local entry = key('store', args.store_id)
local sealed = redis.call('HGET', entry, 'sealed')
if sealed == args.new then return 1 end
if sealed ~= args.old then return 0 end
redis.call('HSET', entry, 'sealed', args.new)
record_act()
return 1
