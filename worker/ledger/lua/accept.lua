-- Jobs become refunds, each once. What goes wrong with one job does not stop the others.
-- args: jobs, each with: refund_id, store_id, order_id; request (JSON), digest; history (JSON); outcome;
--       due_at_ms, by the server's time (0 for at once); goes_first (in the lane of its store); schema (the
--       version that it needs); message_id of the delivery, if there is one; nonce of its
--       signature, if that was checked; worker_id, queue; knows_cells.
-- Returns accepted | duplicate | conflict | replayed (another message had this signature) | failed: ERROR,
-- for each job.

-- A worker that runs since before there were cells would keep the jobs of stores that live elsewhere.
if identity[2] and not args.knows_cells then
    return redis.error_reply('OTHERLEDGER stores live in several cells now; this worker knows of none')
end

-- By how much the place of a job that goes first is before that of all others.
local AHEAD = 2 ^ 40

local last_arrival
local function next_arrival()
    last_arrival = last_arrival and last_arrival + 1
        or redis.call('INCRBY', key('arrivals'), #args.jobs) - #args.jobs + 1
    return last_arrival
end

local function accept(job)
    local id, store, record = job.refund_id, job.store_id, record_of(job.refund_id)
    -- Of a forgotten refund only the beginning of the digest is left (forget.lua).
    if record.digest and record.digest ~= string.sub(job.digest, 1, #record.digest) then return 'conflict' end
    -- The same message may come again, after a lost reply; a copy of it is a replay.
    if record.nonce and record.nonce == job.nonce and record.sent_as ~= job.message_id then return 'replayed' end
    if record.digest then return 'duplicate' end
    change(id, {
        request = job.request, digest = job.digest, store_id = store, order_id = job.order_id, version = 1,
        schema = job.schema, accepted_at_ms = wall, updated_at_ms = now, committed_at_ms = now,
        arrival = next_arrival() - (job.goes_first and AHEAD or 0),
    })
    if job.nonce then change(id, {nonce = job.nonce, sent_as = job.message_id}) end
    set_state(id, 'accepted')
    redis.call('ZADD', key('accepted'), wall, id)
    redis.call('SADD', key('order', store, job.order_id), id)
    note(id, job.history)
    publish(id, job)
    if job.due_at_ms > wall then change(id, {starts_at_ms = now + job.due_at_ms - wall}) end
    line_up(id, store)
    return 'accepted'
end

local answers, done = {}, {}
for place, job in ipairs(args.jobs) do
    local is_fine, answer = pcall(accept, job)
    if is_fine then
        -- The script that puts one of these into quarantine acknowledges it.
        if answer ~= 'conflict' and answer ~= 'replayed' then done[#done + 1] = job.message_id end
    else
        forget_changes(job.refund_id)
        answer = 'failed: ' .. (type(answer) == 'table' and answer.err or tostring(answer))
    end
    answers[place] = answer
end
acknowledge(done)
return answers
