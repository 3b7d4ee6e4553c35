-- Requeue lost refunds: those that have a slot, but neither a message nor a living worker; and put
-- stores whose refunds wait back into the ring.
-- args: stores (their ids); dead_after_ms.
-- Returns the ids of the requeued refunds.
local messages = step_messages()
local requeued = {}
for _, store in ipairs(args.stores) do
    for _, id in ipairs(redis.call('ZRANGE', key('busy', store), 0, -1)) do
        if is_lost(id, messages) then
            local record = record_of(id)
            if record.message_id then redis.call('HDEL', ns .. ':steps.msgs', record.message_id) end
            if is_newer(id) then
                stand_back(id, store)
            elseif next_transition(record.state) then
                send(id)
                requeued[#requeued + 1] = id
            else
                redis.call('ZREM', key('busy', store), id)
            end
        end
    end
    if redis.call('EXISTS', key('busy', store), key('lane', store)) == 0 then
        redis.call('SREM', key('busy_stores'), store)
    else
        admit(store)
    end
end
return requeued
