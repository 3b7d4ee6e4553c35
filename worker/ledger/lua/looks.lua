-- Hand out the due looks of one store, which share a call to Wix: those of the store that waits
-- longest. They come behind real work: not while the store is suspended or paused, while it is over its
-- rate, or while refunds wait in its lane (for a limited time, else a long lane would hide reversals; then
-- they may run as far ahead of the rate as a step).
-- A look that is not reported is handed out again.
-- args: limit; again_ms; put_off_ms; patience_ms.
-- Returns {} | {store, sealed key, id, ...}.
for _, store in ipairs(redis.call('ZRANGEBYSCORE', key('look_stores'), '-inf', now, 'LIMIT', 0, args.limit)) do
    local line = key('looks', store)
    local first = redis.call('ZRANGE', line, 0, 0, 'WITHSCORES')[2]
    local is_late = first and now - first > args.patience_ms
    if is_suspended(store) or is_paused(store) then
        redis.call('ZADD', key('look_stores'), now + args.again_ms, store)
    elseif is_paced(store, is_late and ahead_of(1) or 0)
        or (not is_late and redis.call('ZCARD', key('lane', store)) > 0) then
        redis.call('ZADD', key('look_stores'), now + args.put_off_ms, store)
    else
        local ids = redis.call('ZRANGEBYSCORE', line, '-inf', now, 'LIMIT', 0, args.limit)
        for _, id in ipairs(ids) do redis.call('ZADD', line, now + args.again_ms, id) end
        next_looks(store)
        if #ids > 0 then
            charge(store, 1)
            return {store, redis.call('HGET', key('store', store), 'sealed') or '', unpack(ids)}
        end
    end
end
return {}
