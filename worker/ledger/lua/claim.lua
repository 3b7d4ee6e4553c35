-- Load the record, check that the transition may start, take the lease.
-- args: refund_id; token "WORKER|MESSAGE|EXECUTION"; sources {state: true}; mutates; calls (to reserve);
--       busy_ms, lease_cap_ms, dead_after_ms, settle_delay_ms;
--       worker_id, queue, message_id of the delivery.
-- Returns {status, now, fence, sealed key, epoch, disconnected, refunds that wait, record...};
-- status: claimed | unknown | newer | refused | early | busy | suspended | paused | on_hold | paced.
-- The same token may ask again: a lost reply changes nothing. The same message in the same worker
-- may take over from its earlier execution, which has ended.
local id = args.refund_id
local record = record_of(id)
local state, store, held_by = record.state, record.store_id, record.held_by
local function unclaimed(status)
    ack()
    return claim_answer(id, status)
end
if not state then return unclaimed('unknown') end
if is_newer(id) then
    stand_back(id, store)
    return unclaimed('newer')
end
if not args.sources[state] then return unclaimed('refused') end
if redis.call('ZSCORE', key('due'), id) then return unclaimed('early') end
local holder = holder_of(id)
local owner = string.match(args.token, '^(.*|)')
if holder and string.match(holder, '^(.*|)') ~= owner and is_alive(worker_of(holder)) then
    local message_id = string.match(holder, '^[^|]+|(.*)|')
    if held_by ~= holder then
        postpone(id, store, args.busy_ms)
    -- If this refund itself runs elsewhere, nothing has to come back. But if it runs for this very
    -- message, which a server that forgot has handed out twice, it must be in flight there: else
    -- nobody would run it again if that execution could not commit.
    elseif message_id == args.message_id
        and redis.call('LREM', key(args.queue, 'inflight', args.worker_id), 1, message_id) > 0 then
        redis.call('RPUSH', key(args.queue, 'inflight', worker_of(holder)), message_id)
    end
    return unclaimed('busy')
end
-- The lane waits, so the refund goes back into it. No attempt is spent, and an intent whose effect
-- is unknown stays open. The execution that held the order has ended, or its worker is silent: the
-- lease is deleted, else the order would wait for its end. Should that worker continue after all,
-- its intent and its commit find no lease. held_by stays, so that the next claim renews the intent.
local function come_back(status)
    if holder and holder == held_by then drop_lease(id) end
    stand_back(id, store)
    return unclaimed(status)
end
if held_by ~= args.token and is_suspended(store) then return come_back('suspended') end
if held_by ~= args.token and is_paused(store) then return come_back('paused') end
if held_by ~= args.token and is_on_hold(id) then return come_back('on_hold') end
local calls = calls_of(id, args.calls)
if held_by ~= args.token and not reserve(store, calls) then return come_back('paced') end
take_lease(id, args.token, args.mutates, calls)
-- After a replay, an old message may find it in the lane: it must be in one place.
redis.call('ZREM', key('lane', store), id)
if redis.call('ZADD', key('busy', store), 'NX', now, id) == 1 then redis.call('SADD', key('busy_stores'), store) end
return claim_answer(id, 'claimed')
