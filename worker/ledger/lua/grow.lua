-- Record how many cells there are, unless more are recorded.
-- args: count.
-- Returns {how many there are, when the server is known to have lost writes (0 for never), whether the ledger has
-- an installation: 1 | 0}.
local hash = key('installation')
if args.count > tonumber(redis.call('HGET', hash, 'cells') or 1) then
    redis.call('HSET', hash, 'cells', int(args.count))
end
return {(growth()), tonumber(kept[4] or 0), redis.call('HEXISTS', hash, 'id')}
