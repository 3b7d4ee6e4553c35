-- Requeue lost refunds: those that have a slot, but neither a message nor a living worker.
-- args: stores (their ids); dead_after_ms.
-- Returns the ids of the requeued refunds.
local messages = step_messages()
local requeued = {}
for _, store in ipairs(args.stores) do
    for _, id in ipairs(redis.call('ZRANGE', key('busy', store), 0, -1)) do
        local record = key('refund', id)
        if is_lost(record, store, messages) then
            local message_id = redis.call('HGET', record, 'message_id')
            if message_id then redis.call('HDEL', ns .. ':steps.msgs', message_id) end
            if is_newer(id) then
                stand_back(id, store)
            elseif NEXT[redis.call('HGET', record, 'state')] then
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
