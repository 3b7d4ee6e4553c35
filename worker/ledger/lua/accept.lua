-- Jobs become refunds, each once. What goes wrong with one job does not stop the others.
-- args: worker_id, queue; outcome_type, outcome_step; knows_cells; fields, the names of the texts of a job.
-- The other arguments are these texts, job after job, since in JSON they would cost twice as much:
--   refund_id, store_id, order_id; request (JSON), digest; history (JSON); outcome (JSON);
--   due_at_ms, by the server's time (0 for at once); goes_first (1: in the lane of its store);
--   schema (the version that it needs); message_id of the delivery, '' if there is none; nonce of its
--   signature, '' if that was not checked.
-- Returns accepted | duplicate | conflict | replayed (another message had this signature) | elsewhere (the store
-- lives in another cell, or this one has forgotten it) | failed: ERROR, for each job.

-- A worker that runs since before there were cells would keep the jobs of stores that live elsewhere.
if not args.knows_cells and redis.call('HEXISTS', key('installation'), 'cells') == 1 then
    return redis.error_reply('OTHERLEDGER stores live in several cells now; this worker knows of none')
end

-- By how much the place of a job that goes first is before that of all others.
local AHEAD = 2 ^ 40

local jobs = {}
for first = 2, #ARGV, #args.fields do
    local job = {}
    for place, field in ipairs(args.fields) do job[field] = ARGV[first + place - 1] end
    jobs[#jobs + 1] = job
end

-- Refunds that cannot be written, and why.
local failed = {}
local function try(id, call, ...)
    local is_fine, answer = pcall(call, ...)
    if is_fine then return answer end
    failed[id] = type(answer) == 'table' and answer.err or tostring(answer)
end

-- Whether a store lives in this ledger. A worker has just looked, but the server may have forgotten the store
-- since then, and it may have got another cell.
local is_cell, residents = string.find(ns, ':', 1, true) ~= nil, {}
local function lives_here(store)
    if not args.knows_cells then return true end
    if residents[store] == nil then
        residents[store] = is_cell and redis.call('SISMEMBER', key('residents'), store) == 1
            or not is_cell and redis.call('HGET', key('homes'), store) == 'front'
    end
    return residents[store]
end

-- The jobs that become refunds, and these by their ids: another job of the batch may be a repeat.
local new, first_of = {}, {}
local function answer_to(job)
    local known = first_of[job.refund_id]
    if not known then
        local found = redis.call('HMGET', key('refund', job.refund_id), 'digest', 'nonce', 'sent_as')
        known = {digest = found[1], nonce = found[2], message_id = found[3]}
    end
    -- Of a forgotten refund only the beginning of the digest is left (forget.lua).
    if known.digest and known.digest ~= string.sub(job.digest, 1, #known.digest) then return 'conflict' end
    -- The same message may come again, after a lost reply; a copy of it is a replay.
    local is_copy = job.nonce ~= '' and known.nonce == job.nonce and known.message_id ~= job.message_id
    if is_copy then return 'replayed' end
    if known.digest then return 'duplicate' end
    if not lives_here(job.store_id) then return 'elsewhere' end
    new[#new + 1], first_of[job.refund_id] = job, job
    return 'accepted'
end

local answers = {}
for place, job in ipairs(jobs) do answers[place] = try(job.refund_id, answer_to, job) or '' end

-- Members of sorted sets, each of which is written at once: {key: {score, member, score, member, ...}}.
local function add_member(sets, set, score, member)
    local flat = sets[set] or {}
    sets[set], flat[#flat + 1], flat[#flat + 2] = flat, score, member
end

local now_text, wall_text = int(now), int(wall)
local states, lanes, lists = {}, {}, {}
local arrival = #new > 0 and redis.call('INCRBY', key('arrivals'), #new) - #new or 0
for _, job in ipairs(new) do
    local id, store = job.refund_id, job.store_id
    arrival = arrival + 1
    job.arrival = int(arrival - (job.goes_first == '1' and AHEAD or 0))
    job.is_early = tonumber(job.due_at_ms) > wall
    add_member(states, key('state', 'accepted'), wall_text, id)
    add_member(states, key('accepted'), wall_text, id)
    if not job.is_early then add_member(lanes, key('lane', store), job.arrival, id) end
end

-- What can fail comes first, and the records last: a job without one is done again.
for set, flat in pairs(states) do redis.call('ZADD', set, unpack(flat)) end
for set, flat in pairs(lanes) do
    local found = redis.pcall('ZADD', set, unpack(flat))
    if type(found) == 'table' then
        for place = 2, #flat, 2 do failed[flat[place]] = found.err end
    end
end

local function tell(job)
    local id = job.refund_id
    redis.call('SADD', key('order', job.store_id, job.order_id), id)
    note(id, job.history)
    emit({type = args.outcome_type, data = job.outcome}, id, id .. '/1/' .. args.outcome_step)
end

local function record(job)
    local id, store = job.refund_id, job.store_id
    local fields = {
        'request', job.request, 'digest', job.digest, 'store_id', store, 'order_id', job.order_id, 'version', 1,
        'schema', job.schema, 'state', 'accepted', 'arrival', job.arrival, 'accepted_at_ms', wall_text,
        'updated_at_ms', now_text, 'committed_at_ms', now_text,
    }
    if job.nonce ~= '' then
        for _, text in ipairs({'nonce', job.nonce, 'sent_as', job.message_id}) do fields[#fields + 1] = text end
    end
    redis.call('HSET', key('refund', id), unpack(fields))
    add_member(lists, key('of_store', store), wall_text, id)
    add_member(lists, key('orders'), 0, job.order_id .. ':' .. store)
    if not job.is_early then
        touched[store] = true
    else
        change(id, {starts_at_ms = now + job.due_at_ms - wall})
        line_up(id, store)
    end
end

local accepted = 0
for _, job in ipairs(new) do
    local id = job.refund_id
    if not failed[id] then try(id, tell, job) end
    if not failed[id] then
        record(job)
        accepted = accepted + 1
    else
        for _, set in ipairs({key('state', 'accepted'), key('accepted'), key('lane', job.store_id)}) do
            redis.pcall('ZREM', set, id)
        end
    end
end
-- A list that is wrong is put right by reindex.lua.
for set, flat in pairs(lists) do redis.pcall('ZADD', set, unpack(flat)) end
if accepted > 0 then
    state_counts.accepted = accepted
    total('accepted', accepted)
end

local done = {}
for place, job in ipairs(jobs) do
    local answer = answers[place]
    if failed[job.refund_id] then
        answers[place] = 'failed: ' .. failed[job.refund_id]
    elseif (answer == 'accepted' or answer == 'duplicate') and job.message_id ~= '' then
        -- The script that puts one of the others into quarantine acknowledges it; what lives elsewhere comes again.
        done[#done + 1] = job.message_id
    end
end
acknowledge(done)
return answers
