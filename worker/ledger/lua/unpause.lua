-- End a pause: the lane of a store continues, or those of all stores that are not paused themselves.
-- args: store_id ("*" for all); outcome; act.
-- Returns 1 | 0 (there is no such pause).
if is_repeat then return 1 end
if redis.call('HDEL', key('paused'), args.store_id) == 0 then return 0 end
record_act()
if args.store_id ~= '*' then
    redis.call('SREM', key('paused_lanes'), args.store_id)
    publish_store(args.store_id, args.outcome)
    admit(args.store_id)
    return 1
end
emit(args.outcome, '*', 'all/' .. redis.call('HGET', key('audit_head'), 'seq') .. '/' .. args.outcome.step)
-- The leader starts them, some with each tick (wake.lua).
for _, store in ipairs(redis.call('SMEMBERS', key('paused_lanes'))) do
    if redis.call('HEXISTS', key('paused'), store) == 0 then
        redis.call('SREM', key('paused_lanes'), store)
        redis.call('ZADD', key('paced'), now, store)
    end
end
return 1
