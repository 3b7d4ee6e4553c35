-- Forget finished refunds: of each only a tombstone stays, in the place of its record. Nothing is
-- forgotten that has changed since it was read, that a person or a look may still need, or that only
-- a newer version knows.
-- args: refunds, each with: refund_id; version, lines (of its history) as they were read; digest (the
--       part that is kept), tombstone; states {state: true} in which a refund may be forgotten;
--       only_look (change nothing); dead_after_ms.
-- Returns for each: due (it may be forgotten) | forgotten | kept | changed.
local function is_waited_for(id, store)
    for _, place in ipairs({
        key('watch'), key('looks', store), key('on_hold'), key('approvals'), key('dead'), key('due'),
        key('lane', store), key('busy', store),
    }) do
        if redis.call('ZSCORE', place, id) then return true end
    end
    return false
end

local function status_of(given)
    local id = given.refund_id
    local record = record_of(id)
    if record.t then return 'forgotten' end
    if record.version ~= given.version or redis.call('LLEN', key('history', id)) ~= given.lines then return 'changed' end
    if not args.states[record.state] or is_newer(id) or is_on_hold(id) or is_held(id) then return 'kept' end
    return is_waited_for(id, record.store_id) and 'kept' or 'due'
end

local function forget(given)
    local id = given.refund_id
    local record = record_of(id)
    local store, order = record.store_id, record.order_id
    redis.call('DEL', key('refund', id), key('history', id))
    redis.call('HSET', key('refund', id), 'digest', given.digest, 't', given.tombstone)
    redis.call('ZREM', key('accepted'), id)
    redis.call('ZREM', key('state', record.state), id)
    redis.call('ZREM', key('of_store', store), id)
    redis.call('SREM', key('unpacked'), id)
    redis.call('ZREM', key('failing'), id)
    redis.call('HDEL', key('cards'), id)
    redis.call('SREM', key('order', store, order), id)
    if redis.call('EXISTS', key('order', store, order)) == 0 then
        redis.call('ZREM', key('orders'), order .. ':' .. store)
    end
    redis.call('HINCRBY', key('keeping'), 'forgotten', 1)
    forget_changes(id)
end

local answers = {}
for place, given in ipairs(args.refunds) do
    local status = status_of(given)
    if status == 'due' and not args.only_look then
        forget(given)
        status = 'forgotten'
    end
    answers[place] = status
end
return answers
