-- A person pauses or resumes a webhook, or lets dead deliveries be made again.
-- args: name; what (pause | resume | replay); why; deliveries {position: delivery (JSON)} to replay; act.
-- Returns how much was changed.
if is_repeat then return 1 end
local entry, dead = key('webhook', args.name), key('webhook', args.name, 'dead')
local changed = 0
if args.what == 'pause' then
    changed = redis.call('HSETNX', entry, 'paused_why', args.why)
    if changed == 1 then redis.call('HSET', entry, 'paused_at_ms', int(wall)) end
elseif args.what == 'resume' then
    changed = redis.call('HDEL', entry, 'paused_why')
    redis.call('HDEL', entry, 'paused_at_ms', 'failures', 'failing_since_ms')
else
    for position, delivery in pairs(args.deliveries) do
        if redis.call('HDEL', dead, position) == 1 then
            redis.call('HSET', key('webhook', args.name, 'waiting'), position, delivery)
            changed = changed + 1
        end
    end
end
if changed > 0 then
    redis.call('HINCRBY', entry, 'acts', 1)
    record_act()
end
return changed
