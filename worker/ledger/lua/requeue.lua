-- Requeue lost refunds: those that hold a slot, but have no message and no living worker.
-- args: stores (their ids); dead_after_ms.
-- Returns the ids of the requeued refunds. The queue is read once for all of them.
local expected = step_messages()
local requeued = {}
for _, store in ipairs(args.stores) do
    for _, id in ipairs(redis.call('ZRANGE', key('busy', store), 0, -1)) do
        local record = key('refund', id)
        local message_id = redis.call('HGET', record, 'message_id')
        if not (message_id and expected[message_id]) and not is_held(record, store) then
            if message_id then redis.call('HDEL', ns .. ':steps.msgs', message_id) end
            if NEXT[redis.call('HGET', record, 'state')] then
                send(id)
                requeued[#requeued + 1] = id
            else
                redis.call('ZREM', key('busy', store), id)
            end
        end
    end
    admit(store)
end
return requeued
