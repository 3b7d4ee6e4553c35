-- Record a look at the changed orders of a store: report what is new, each once, and move on.
-- Dates of Wix are compared with Wix's own, or with the server's time: the ledger's clock may differ.
-- args: store_id; turn (of the look); news, each with key, at_ms (when it happened), subject, event_id,
--       outcome (none if it is only to be remembered); unclear, clear (orders); keep_ms, ahead_ms, quiet_ms,
--       give_up_ms; wait_ms, longest_ms; newest_ms (the last change, 0 for none), is_full (more follows);
--       failed; calls (beyond those that were charged); throttled (by Wix), pause_ms (0 if it did not say).
-- Returns the keys of the news that were reported now.
local store, told = args.store_id, {}
local observer, seen, unclear = key('observer', store), key('observed', store), key('observe_again', store)
charge(store, args.calls)
if args.throttled then throttle(store, args.pause_ms) end
-- The merchant may have been observed until a moment ago.
if not redis.call('ZSCORE', key('observing'), store) then return told end
for _, one in ipairs(args.news) do
    if redis.call('ZADD', seen, 'NX', one.at_ms, one.key) == 1 then
        if one.outcome then
            emit(one.outcome, one.subject, one.event_id)
            told[#told + 1] = one.key
        end
    end
end
for _, order in ipairs(args.unclear) do redis.call('ZADD', unclear, 'NX', now, order) end
for _, order in ipairs(args.clear) do redis.call('ZREM', unclear, order) end
redis.call('ZREMRANGEBYSCORE', unclear, '-inf', '(' .. int(now - args.give_up_ms - args.longest_ms))
-- Another look began meanwhile.
if redis.call('HGET', observer, 'turn') ~= int(args.turn) then return told end
local wait = args.wait_ms
if args.is_full then
    redis.call('HSET', observer, 'at_ms', int(args.newest_ms))
    redis.call('HINCRBY', observer, 'pages', 1)
    wait = 0
elseif not args.failed then
    local known = redis.call('HMGET', observer, 'at_ms', 'cursor_ms', 'pages')
    local newest = args.newest_ms > 0 and args.newest_ms or tonumber(known[1] or known[2])
    -- What happened earlier is not reported again, so it need not be remembered: see observe.lua.
    redis.call('ZREMRANGEBYSCORE', seen, '-inf', '(' .. int(known[2] - args.keep_ms))
    redis.call('HDEL', observer, 'at_ms', 'pages')
    redis.call('HSET', observer, 'cursor_ms', int(math.max(wall - args.quiet_ms, math.min(newest, wall + args.ahead_ms))))
    -- However many orders change: about one page in wait_ms.
    wait = math.min(args.longest_ms, wait * (1 + (known[3] or 0)))
end
redis.call('HSET', observer, 'due_ms', int(now + wait))
redis.call('ZADD', key('observing'), now + wait, store)
return told
