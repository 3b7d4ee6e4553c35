-- Make the records of finished refunds smaller: the history in one field, and no fields that only an
-- unfinished refund needs. The version of a record stays: it means the same as before.
-- args: refunds, each with: refund_id; version, lines (of its history) as they were read; fields {name: text},
--       dropped (names); is_damaged (leave it as it is); states {state: true} that a finished refund has.
-- Returns how many were packed.
local done, histories = {}, {}
for _, given in ipairs(args.refunds) do
    local id, record = given.refund_id, key('refund', given.refund_id)
    local known = redis.call('HMGET', record, 'state', 'version')
    if not args.states[known[1]] or given.is_damaged then
        done[#done + 1] = id
    elseif known[2] == given.version and redis.call('LLEN', key('history', id)) == given.lines then
        -- Nothing that a list follows is changed, so the whole record need not be read.
        local flat, size = {}, 0
        for field, text in pairs(given.fields) do
            flat[size + 1], flat[size + 2], size = field, text, size + 2
        end
        if size > 0 then redis.call('HSET', record, unpack(flat)) end
        if #given.dropped > 0 then redis.call('HDEL', record, unpack(given.dropped)) end
        done[#done + 1], histories[#histories + 1] = id, key('history', id)
    end
end
if #histories > 0 then redis.call('DEL', unpack(histories)) end
if #done > 0 then redis.call('SREM', key('unpacked'), unpack(done)) end
return #histories
