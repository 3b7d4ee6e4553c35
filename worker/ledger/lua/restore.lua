-- Put the message of a dead letter back on its queue.
-- args: queue, message_id, message; act (worker/ledger/lua/acts.lua).
-- Returns 1 | 0 (it is no letter any more).
if is_repeat then return 1 end
if redis.call('HDEL', key('quarantine'), args.message_id) == 0 then return 0 end
redis.call('HSET', ns .. ':' .. args.queue .. '.msgs', args.message_id, args.message)
redis.call('RPUSH', ns .. ':' .. args.queue, args.message_id)
record_act()
return 1
