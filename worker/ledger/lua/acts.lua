-- In front of each script that records what a person did: the audit log. It is one chain: each entry
-- holds the SHA-256 of the one before. Lua has no SHA-256, and one that is written in Lua would block
-- the server for milliseconds, so the program makes the entry (worker/ledger/audit_log.py), and the
-- script accepts it only if the entry before is still the last. So no two writers can fork the chain.
-- args.act: id (of the call, to recognise its repeat after a lost reply); entry (JSON), hash (its
--           SHA-256), prev (the hash of the entry before, "" for the first); job and subject, if it is
--           an item of a bulk act.
local FINISHED_S = 30 * 86400
local head = args.act and redis.call('HMGET', key('audit_head'), 'hash', 'act_id')
-- Whether this call was made before, and only its reply was lost.
local is_repeat = head and head[2] == args.act.id

-- Whether an item of a bulk act is still to be done, and the bulk act runs.
local function is_due(job, id)
    return redis.call('HGET', key('job', job), 'state') == 'running'
        and redis.call('ZSCORE', key('job', job, 'todo'), id)
end

if head and not is_repeat then
    if args.act.job ~= '' and not is_due(args.act.job, args.act.subject) then
        return redis.error_reply('NOTDUE this item is done, or the bulk act was stopped')
    end
    if (head[1] or '') ~= args.act.prev then
        return redis.error_reply('HEADMOVED another entry was appended to the audit log')
    end
end

-- End a bulk act that has nothing left to do; its results are kept for a while.
local function finish_job(job)
    local name = key('job', job)
    redis.call('SREM', key('jobs_running'), job)
    redis.call('HSET', name, 'state', 'done', 'ended_at_ms', int(wall))
    for _, each in ipairs({name, key('job', job, 'items')}) do redis.call('EXPIRE', each, FINISHED_S) end
end

-- Take an item off the list of its bulk act, and write its result.
local function end_item(job, id, result, text)
    local name, items = key('job', job), key('job', job, 'items')
    local item = cjson.decode(redis.call('HGET', items, id) or '{}')
    item.result, item.text, item.at_ms = result, text, int(wall)
    redis.call('HSET', items, id, cjson.encode(item))
    redis.call('ZREM', key('job', job, 'todo'), id)
    redis.call('HINCRBY', name, result, 1)
    local canary = tonumber(redis.call('HGET', name, 'canary_left') or 0) > 0
        and redis.call('HINCRBY', name, 'canary_left', -1)
    if redis.call('ZCARD', key('job', job, 'todo')) == 0 then
        finish_job(job)
    elseif canary == 0 then
        redis.call('HSET', name, 'state', 'waiting')
        redis.call('SREM', key('jobs_running'), job)
    end
end

-- Let a refund on hold go on: into its lane, in order of arrival.
local function go_on(id)
    local record = record_of(id)
    if record.asks then change(id, {reason = '{}'}) end
    lift_hold(id)
    -- It is still in its slot if the hold had to wait for its step.
    if redis.call('ZREM', key('on_hold'), id) == 1 then line_up(id, record.store_id) end
end

-- Whether the act was done, so that it is in the audit log.
local is_recorded = false

-- What a script returns for an act: {1 | 0, whether it was recorded; its own reply}.
local function with_record(reply)
    if not head then return reply end
    return {is_recorded and 1 or 0, reply}
end

-- Append args.act to the audit log, in the same write as the act itself.
local function record_act()
    is_recorded = true
    if not head or is_repeat then return end
    redis.call('XADD', key('audit_log'), '*', 'entry', args.act.entry, 'hash', args.act.hash)
    redis.call('HINCRBY', key('audit_head'), 'seq', 1)
    redis.call('HSET', key('audit_head'), 'hash', args.act.hash, 'act_id', args.act.id)
    if args.act.job ~= '' then end_item(args.act.job, args.act.subject, 'done', args.act.text or '') end
end
