-- Read letters of messages that never became a refund, a bounded piece per call. Changes nothing.
-- args: cursor ("0" for the beginning); piece (about how many).
-- Returns {the next cursor, "0" at the end; id and what a list shows of the letter (JSON), id, ...}.
local answer = redis.call('HSCAN', key('quarantine'), args.cursor, 'COUNT', args.piece)
local found = {answer[1]}
for place = 1, #answer[2], 2 do
    local letter = decoded(answer[2][place + 1])
    local job = type(letter.job) == 'table' and letter.job or {}
    found[#found + 1] = answer[2][place]
    found[#found + 1] = cjson.encode({
        at_ms = tonumber(letter.at_ms) or 0, reason = text_of(letter.reason), refund_id = text_of(job.refund_id),
        store_id = text_of(job.store_id), order_id = text_of(job.order_id),
        error = text_of(letter.error), problems = letter.problems,
    })
end
return found
