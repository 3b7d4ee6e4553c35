-- Find the refunds that have waited too long for a store that is not connected, the longest first;
-- when no refund of the store waits any more, its suspension ends.
-- args: store_id; for_ms; limit; epoch.
-- Returns {ms until the next one is overdue, -1 when none waits; id, id, ...}.
local suspended = key('suspended', args.store_id)
if redis.call('HGET', suspended, 'epoch') ~= args.epoch then return {-1} end
local found, next_in_ms = {-1}, args.for_ms
for _, id in ipairs(redis.call('ZRANGE', key('lane', args.store_id), 0, args.limit - 1)) do
    local since = tonumber(redis.call('HGET', key('refund', id), 'updated_at_ms') or 0)
    if since + args.for_ms <= now then
        found[#found + 1] = id
    else
        next_in_ms = math.min(next_in_ms, since + args.for_ms - now)
    end
end
if redis.call('ZCARD', key('lane', args.store_id)) > 0 then
    found[1] = next_in_ms
elseif redis.call('ZCARD', key('busy', args.store_id)) == 0 then
    redis.call('DEL', suspended)
    redis.call('ZREM', key('probes'), args.store_id)
end
return found
