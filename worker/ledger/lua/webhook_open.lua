-- Become, or stay, the one worker that delivers to a webhook, for a while.
-- args: name; token (of the worker); lease_ms.
-- Returns {} (another worker delivers) | {now, is_mine (1 if it was ours before), field, value, ...}.
local entry, lease = key('webhook', args.name), key('webhook', args.name, 'lease')
local holder = redis.call('GET', lease)
if holder and holder ~= args.token then return {} end
redis.call('SET', lease, args.token, 'PX', args.lease_ms)
redis.call('ZADD', key('webhooks'), now, args.name)
-- A new webhook begins with what happens from now on.
if redis.call('HEXISTS', entry, 'cursor') == 0 then
    local newest = redis.call('XREVRANGE', key('outcomes'), '+', '-', 'COUNT', 1)[1]
    redis.call('HSET', entry, 'cursor', newest and newest[1] or '0-0', 'since_ms', int(wall))
end
return {int(now), holder and 1 or 0, unpack(redis.call('HGETALL', entry))}
