-- Record what became of deliveries to a webhook, if this worker still delivers to it.
-- args: name; token; lease_ms; fields {name: text}; stops (why the webhook is paused, '' if it is not);
--       waiting {position: delivery (JSON)}, dead (the same), done [positions that wait no more].
-- Returns 1 | 0 (another worker delivers; nothing is written).
local entry, lease = key('webhook', args.name), key('webhook', args.name, 'lease')
if redis.call('GET', lease) ~= args.token then return 0 end
redis.call('PEXPIRE', lease, args.lease_ms)
for field, value in pairs(args.fields) do redis.call('HSET', entry, field, value) end
for _, list in ipairs({'waiting', 'dead'}) do
    for position, delivery in pairs(args[list]) do
        redis.call('HSET', key('webhook', args.name, list), position, delivery)
    end
end
for _, position in ipairs(args.done) do redis.call('HDEL', key('webhook', args.name, 'waiting'), position) end
if args.stops ~= '' then redis.call('HSET', entry, 'paused_why', args.stops, 'paused_at_ms', int(wall)) end
return 1
