-- Make the records of finished refunds smaller: the history in one field, and no fields that only an
-- unfinished refund needs. The version of a record stays: it means the same as before.
-- args: refunds, each with: refund_id; version, lines (of its history) as they were read; fields {name: text},
--       dropped (names); is_damaged (leave it as it is); states {state: true} that a finished refund has.
-- Returns how many were packed.
local count = 0
for _, given in ipairs(args.refunds) do
    local id = given.refund_id
    local record = record_of(id)
    if not args.states[record.state] or given.is_damaged then
        redis.call('SREM', key('unpacked'), id)
    elseif record.version == given.version and redis.call('LLEN', key('history', id)) == given.lines then
        change(id, given.fields)
        remove(id, unpack(given.dropped))
        redis.call('DEL', key('history', id))
        redis.call('SREM', key('unpacked'), id)
        count = count + 1
    end
end
return count
