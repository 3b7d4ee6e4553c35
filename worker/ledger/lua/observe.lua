-- Hand out the next look at the changed orders of a store whose merchant is observed: of the store that
-- waits longest. As the looks at finished refunds (looks.lua), it comes behind real work. A look that is not
-- reported is handed out again.
-- args: limit; again_ms; put_off_ms; patience_ms; overlap_ms; keep_ms; calls (to Wix, charged at once).
-- Returns {} | {store, sealed key, turn, now, from when on changes are read, since when what happened is
-- reported, order that was not clear, since when, ...}.
for _, store in ipairs(redis.call('ZRANGEBYSCORE', key('observing'), '-inf', now, 'LIMIT', 0, args.limit)) do
    local observer = key('observer', store)
    local known = redis.call('HMGET', observer, 'on_ms', 'cursor_ms', 'at_ms', 'due_ms', 'turn')
    local on, cursor, turn = tonumber(known[1]), tonumber(known[2]), tonumber(known[5] or 0)
    local is_late = now - tonumber(known[4]) > args.patience_ms
    if is_suspended(store) or is_paused(store) then
        redis.call('ZADD', key('observing'), now + args.again_ms, store)
    elseif is_paced(store, 0) or (not is_late and redis.call('ZCARD', key('lane', store)) > 0) then
        redis.call('ZADD', key('observing'), now + args.put_off_ms, store)
    else
        redis.call('ZADD', key('observing'), now + args.again_ms, store)
        redis.call('HSET', observer, 'turn', turn + 1)
        charge(store, args.calls)
        -- In turn, if they are too many for one look.
        local unclear = key('observe_again', store)
        local first = turn * args.limit % math.max(1, redis.call('ZCARD', unclear))
        return {
            store, redis.call('HGET', key('store', store), 'sealed') or '', turn + 1, int(now),
            known[3] or int(cursor - args.overlap_ms), int(math.max(on, cursor - args.keep_ms)),
            unpack(redis.call('ZRANGE', unclear, first, first + args.limit - 1, 'WITHSCORES')),
        }
    end
end
return {}
