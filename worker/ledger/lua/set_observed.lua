-- Begin to observe what the merchant of a store does, from now on, or end it.
-- args: store_id; is_on; act.
-- Returns 1 | 0 (nothing changed).
if is_repeat then return 1 end
-- Dates of Wix are compared with the server's time: see observed.lua.
local observer = key('observer', args.store_id)
if (redis.call('EXISTS', observer) == 1) == args.is_on then return 0 end
if args.is_on then
    redis.call('HSET', observer, 'on_ms', int(wall), 'cursor_ms', int(wall), 'due_ms', int(now))
    redis.call('ZADD', key('observing'), now, args.store_id)
else
    stop_observing(args.store_id)
end
record_act()
return 1
