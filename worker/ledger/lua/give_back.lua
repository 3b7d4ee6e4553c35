-- Give back what was handed to executions that this worker knows nothing of: they ended without a
-- commit, or the reply to the commit that handed it over never arrived.
-- args: worker_id; running {execution: true}; older_than_ms, which what is on its way is not.
-- Returns the ids of the refunds that were given back.
local hash, given_back = key('handed', args.worker_id), {}
local flat = redis.call('HGETALL', hash)
for place = 1, #flat, 2 do
    local since, id = string.match(flat[place + 1], '^(%d+)|(.*)$')
    if not args.running[flat[place]] and tonumber(since) <= now - args.older_than_ms then
        redis.call('HDEL', hash, flat[place])
        local record = record_of(id)
        local lease = key('lease', record.store_id or '', record.order_id or '')
        -- held_by stays, so that the next claim renews an open intent.
        if held_by_execution(id, flat[place]) and redis.call('GET', lease) == record.held_by then
            redis.call('DEL', lease)
            send(id)
            given_back[#given_back + 1] = id
        end
    end
end
return given_back
