-- Everything a step changes, at once: state, history, facts, next message or due time, lane,
-- lease and the acknowledgement.
-- args: refund_id, token, fence; state; next "now" | "later" | "lane" | "end"; due_in_ms;
--       wix_calls; intent "clear" | "keep" | "open"; fields and lines, how many of them are below;
--       uncounted; steps, how many this is the result of; watch_in_ms; accepted_endpoints; lacking;
--       throttled, pause_ms; wix_outcome; epoch;
--       suspension, outcome and also (a second outcome), if any; asks, if the refund needs an approval,
--       and counts, if it was found at Wix and there are limits (guards.lua), with in_doubt if only a
--       server that lost writes can have forgotten that it was ours;
--       hands_over, whether the thread goes on with what it is handed (leases.lua); gives_way, whether to
--       a store that goes ahead before the refund has ended; next_calls, that its next step will make;
--       lease_cap_ms, settle_delay_ms, dead_after_ms. What is 0, false or '' may be absent;
--       worker_id, queue, message_id and execution of the delivery; is_handed, whether it was handed over.
-- The other arguments are texts, since in JSON they would cost twice as much: name and text of each field, the
-- lines of the history (JSON), data of outcome and of also, if there are any.
-- Returns {status} or {status, transition, message id, claim...} of the refund that is handed over;
-- status: committed | suspended (the store, by this step) | stale (the lease was lost).
local fields, place = {}, 2 + 2 * args.fields
for name = 2, place - 1, 2 do fields[ARGV[name]] = ARGV[name + 1] end
local history = {unpack(ARGV, place, place + args.lines - 1)}
place = place + args.lines
if args.outcome then args.outcome.data, place = ARGV[place], place + 1 end
if args.also then args.also.data = ARGV[place] end

local id = args.refund_id
local record = record_of(id)
local store = record.store_id
local suspended = key('suspended', store)
local order_before = record.order_id
local is_settled = record.settled_fence == args.fence
if is_settled or record.held_by ~= args.token or record.fence ~= args.fence or holder_of(id) ~= args.token then
    local other = other_ledger()
    if other then return other end
    if is_settled then
        local status = redis.call('HGET', suspended, 'by') == args.token and 'suspended' or 'committed'
        return {status, unpack(handed_before())}
    end
    ack()
    return {'stale'}
end
local was_forgotten = args.counts and may_have_forgotten(id)
local intent = {clear = 0, keep = record.prior_intent_at_ms or 0, open = now}
-- A call that is only suspected was made before the doubt (leases.lua).
local is_suspected = args.intent == 'keep' and record.suspected_at_ms and record.suspected_at_ms == intent.keep
if is_suspected then
    -- It is from an earlier doubt, of which not all may have been vouched for: nothing dispels it any more.
    local suspected_at, lost_at = tonumber(record.suspected_at_ms), tonumber(kept[4] or 0)
    is_suspected = suspected_at > tonumber(kept[9] or 0) and suspected_at + args.settle_delay_ms >= lost_at
    intent.keep = math.max(lost_at, suspected_at)
end
charge(store, args.wix_calls - (record.reserved or 0))
if args.throttled then throttle(store, args.pause_ms or 0) end
change(id, fields)
change(id, {
    intent_at_ms = intent[args.intent], version = record.version + args.steps,
    wix_calls = (record.wix_calls or 0) + args.wix_calls,
    attempts = (record.attempts or 0) + args.steps - (args.uncounted and 2 or 1),
    settled_fence = args.fence, updated_at_ms = now, committed_at_ms = now,
})
remove(id, 'held_by')
if is_suspected then change(id, {suspected_at_ms = intent.keep}) else remove(id, 'suspected_at_ms') end
-- The number of the order was looked up.
if record.order_id ~= order_before then
    redis.call('SREM', key('order', store, order_before), id)
    redis.call('SADD', key('order', store, record.order_id), id)
    if redis.call('EXISTS', key('order', store, order_before)) == 0 then
        redis.call('ZREM', key('orders'), order_before .. ':' .. store)
    end
    redis.call('ZADD', key('orders'), 0, record.order_id .. ':' .. store)
end
set_state(id, args.state)
if tonumber(record.due_at_ms or 0) > 0 then redis.call('ZREM', key('due'), id) end
note(id, unpack(history))
publish(id, args)
if args.asks then await_approval(id, args.asks) end
if args.counts and (was_forgotten or not args.counts.in_doubt) then count_found(id, args.counts) end
-- Nothing was done for a rejected refund.
if args.state == 'rejected' and tonumber(record.intent_at_ms) == 0 then uncount(id) end
if args.watch_in_ms then plan_look(id, now, args.watch_in_ms) end
ack()
-- A rejected refund is an answer for upstream, not an error.
if args.state ~= 'rejected' and fields.reason and fields.reason ~= '{}' then
    redis.call('HSET', key('store', store), 'last_error', fields.reason, 'last_error_at_ms', int(now))
end
local status, is_held_back = 'committed', (args.suspension or args.next == 'now') and is_suspended(store)
-- The refusal of a key that has been replaced since, or from before a suspension that is over, is ignored.
if args.suspension and not is_held_back and (redis.call('HGET', key('store', store), 'epoch') or '0') == args.epoch then
    redis.call('HSET', suspended, 'by', args.token, 'since_ms', int(now), 'probes', 0, 'epoch', args.epoch,
        'endpoint', args.suspension.endpoint, 'reason', args.suspension.reason)
    quiet[store] = nil
    redis.call('ZADD', key('probes'), now + args.suspension.probe_in_ms, store)
    publish_store(store, args.suspension.outcome)
    status, is_held_back = 'suspended', true
end
-- If the same thread makes the next step, which has what this one read, a step of few calls may run as far
-- ahead of the rate as one of many.
local handed = {}
local calls = args.next == 'now' and calls_of(id, args.next_calls)
local goes_on = calls and not is_held_back and not is_paused(store) and not is_on_hold(id)
    and not is_paced(store, (args.hands_over and ahead_of or surplus)(calls))
-- A refund that takes long gives way to a store that goes ahead of the others.
if args.gives_way then enter_ring() end
local hands_own = goes_on and args.hands_over and not (args.gives_way and is_ahead())
-- The next step of the same thread reports it again.
if args.wix_outcome == 'answered' and not hands_own then note_answer(store) end
if args.wix_outcome == 'failed' then
    note_failure(store, now - tonumber(redis.call('ZSCORE', key('busy', store), id) or now))
end
if not hands_own then
    drop_lease(id)
    record_accepted(store)
end
if args.lacking then
    redis.call('HSET', key('lacking', store), args.lacking, int(now))
    redis.call('HDEL', key('worked', store), args.lacking)
end
if hands_own then
    handed = hand(id, true, calls)
elseif goes_on then
    send(id)
elseif args.next == 'now' or args.next == 'lane' then
    stand_back(id, store)
elseif args.next == 'later' then
    postpone(id, store, args.due_in_ms or 0)
else
    if args.state == 'dead' then redis.call('ZADD', key('dead'), now, id) end
    redis.call('ZREM', key('busy', store), id)
    admit(store)
end
if args.hands_over and not hands_own then
    enter_ring()
    handed = hand_over()
end
if #handed == 0 and args.is_handed then redis.call('HDEL', key('handed', args.worker_id), args.execution) end
return {status, unpack(handed)}
