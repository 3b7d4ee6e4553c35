-- Let another worker deliver to a webhook at once.
-- args: name; token.
-- Returns 1.
local lease = key('webhook', args.name, 'lease')
if redis.call('GET', lease) == args.token then redis.call('DEL', lease) end
return 1
