-- Hand out messages for steps to a worker: of stores that go ahead of the others, queued ones, and
-- then of the stores in turn.
-- args: worker_id; wanted, known (ids that the consumer holds); block_ms, how long it waits if there are
--       none. What is in flight here but not known to the consumer was lost on the way (pitfalls 2 to 4):
--       it is handed out again.
-- Returns {id, message, id, message, ...}.
local list, msgs = ns .. ':steps', ns .. ':steps.msgs'
local inflight = key('steps', 'inflight', args.worker_id)
-- A worker that holds messages is listed, so that they are found if it dies before it beats.
redis.call('ZADD', key('workers'), 'NX', int(now), args.worker_id)
local known, ids, found = {}, {}, {}
for _, id in ipairs(args.known) do known[id] = true end
for _, id in ipairs(redis.call('LRANGE', inflight, 0, -1)) do
    if not known[id] then ids[#ids + 1] = id end
end
local function take_message(refund_id)
    if not refund_id then return nil end
    local id = write_message(refund_id)
    redis.call('RPUSH', inflight, id)
    return id
end
while #ids < args.wanted do
    local id = is_ahead() and take_message(take_turn()) or redis.call('LMOVE', list, inflight, 'LEFT', 'RIGHT')
        or take_message(take_turn())
    if not id then break end
    ids[#ids + 1] = id
end
if #ids == 0 then
    redis.call('ZADD', key('idle'), int(now + args.block_ms), args.worker_id)
    return found
end
redis.call('ZREM', key('idle'), args.worker_id)
for place, message in ipairs(redis.call('HMGET', msgs, unpack(ids))) do
    if message then
        found[#found + 1] = ids[place]
        found[#found + 1] = message
    else
        redis.call('LREM', inflight, 1, ids[place])
    end
end
offer()
return found
