-- Remember the settings that a worker started with, and record it if they have changed.
-- args: digest (of all of them), before (the digest that was read, "" for none); settings {name:
--       digest of the value}; act, if any.
-- Returns 1 | 0 (another worker was first).
local hash = key('settings')
local known = redis.call('HGET', hash, 'digest') or ''
if known == args.digest then return 1 end
if known ~= args.before then return 0 end
redis.call('DEL', hash)
for name, digest in pairs(args.settings) do redis.call('HSET', hash, 'of:' .. name, digest) end
redis.call('HSET', hash, 'digest', args.digest, 'at_ms', int(wall))
record_act()
return 1
