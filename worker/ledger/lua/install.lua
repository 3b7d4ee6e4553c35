-- A ledger without an id becomes an installation; the cutoff of a known one is updated.
-- args: new_id; cutoff (ISO 8601); adopt; replaces (the id of another installation, "" for none);
--       act, if any.
-- Returns the hash: {field, value, ...}.
local hash = key('installation')
if redis.call('HSETNX', hash, 'id', args.new_id) == 1 then
    redis.call('HSET', hash, 'created_at_ms', int(wall), 'cutoff', args.cutoff)
end
local cutoff = redis.call('HGET', hash, 'cutoff')
if cutoff ~= args.cutoff then
    redis.call('HSET', hash, 'cutoff', args.cutoff, 'previous_cutoff', cutoff, 'cutoff_changed_at_ms', int(wall))
end
if args.replaces ~= '' then redis.call('HSET', hash, 'replaces:' .. args.replaces, int(wall)) end
-- The ledger before this one may have known of a call that is still under way (claim.lua). No worker can vouch for
-- it: it is never the same doubt as one for which they were asked.
if args.adopt then redis.call('HSET', key('clock'), 'doubt_ms', int(math.max(now, tonumber(kept[4] or 0) + 1))) end
record_act()
return redis.call('HGETALL', hash)
