-- Make the records of finished refunds smaller: the history in one field, and no fields that only an
-- unfinished refund needs. The version of a record stays: it means the same as before.
-- args: refunds, each with: refund_id; version, lines (of its history) as they were read; fields {name: text},
--       dropped (names); is_damaged (leave it as it is); states {state: true} that a finished refund has.
-- Returns how many were packed.
local done, histories = {}, {}
for _, given in ipairs(args.refunds) do
    local id = given.refund_id
    local record = record_of(id)
    if not args.states[record.state] or given.is_damaged then
        done[#done + 1] = id
    elseif record.version == given.version and redis.call('LLEN', key('history', id)) == given.lines then
        change(id, given.fields)
        remove(id, unpack(given.dropped))
        done[#done + 1], histories[#histories + 1] = id, key('history', id)
    end
end
if #histories > 0 then redis.call('DEL', unpack(histories)) end
if #done > 0 then redis.call('SREM', key('unpacked'), unpack(done)) end
return #histories
