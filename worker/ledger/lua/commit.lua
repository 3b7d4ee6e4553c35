-- Everything a step changes, at once: state, history, facts, next message or due time, lane,
-- lease and the acknowledgement. Returns settled | suspended (the store, by this step) | stale.
local r = key('refund', a.refund_id)
local store, order = redis.call('HGET', r, 'store_id'), redis.call('HGET', r, 'order_id')
local lease = key('lease', store, order)
local suspended = key('suspended', store)
if redis.call('HGET', r, 'settled_fence') == a.fence then
    return redis.call('HGET', suspended, 'by') == a.token and 'suspended' or 'settled'
end
if redis.call('HGET', r, 'held_by') ~= a.token or redis.call('HGET', r, 'fence') ~= a.fence
    or redis.call('GET', lease) ~= a.token then
    ack()
    return 'stale'
end
local intent = {clear = 0, keep = redis.call('HGET', r, 'prior_intent_at_ms') or 0, open = int(now)}
redis.call('HSET', r, 'intent_at_ms', intent[a.intent])
for field, value in pairs(a.fields) do redis.call('HSET', r, field, value) end
redis.call('HINCRBY', r, 'version', 1)
redis.call('HINCRBY', r, 'wix_calls', a.wix_calls)
charge(store, a.wix_calls)
if a.uncounted then redis.call('HINCRBY', r, 'attempts', -1) end
redis.call('HSET', r, 'settled_fence', a.fence, 'updated_at_ms', int(now))
redis.call('HDEL', r, 'held_by')
redis.call('DEL', lease)
set_state(a.refund_id, a.state)
redis.call('ZREM', key('due'), a.refund_id)
for _, line in ipairs(a.history) do note(a.refund_id, line) end
publish(a.refund_id)
if a.watch_in_ms > 0 then redis.call('ZADD', key('watch'), now + a.watch_in_ms, a.refund_id) end
ack()
for _, endpoint in ipairs(a.worked) do redis.call('HSET', key('worked', store), endpoint, int(now)) end
if a.fields.reason and a.fields.reason ~= '{}' then
    redis.call('HSET', key('store', store), 'last_error', a.fields.reason, 'last_error_at_ms', int(now))
end
local verdict = 'settled'
-- A refusal of a key that was exchanged meanwhile, or of a suspension that is over, says nothing.
if a.suspension and not is_suspended(store) and (redis.call('HGET', key('store', store), 'epoch') or '0') == a.epoch then
    redis.call('HSET', suspended, 'by', a.token, 'since_ms', int(now), 'probes', 0, 'epoch', a.epoch,
        'endpoint', a.suspension.endpoint, 'reason', a.suspension.reason)
    redis.call('ZADD', key('probes'), now + a.suspension.probe_in_ms, store)
    publish_store(store, a.suspension.outcome)
    verdict = 'suspended'
end
if a.next == 'now' and not is_suspended(store) then
    send(a.refund_id)
elseif a.next == 'now' or a.next == 'lane' then
    stand_back(a.refund_id, store)
elseif a.next == 'later' then
    postpone(a.refund_id, store, a.due_in_ms)
else
    if a.state == 'dead' then redis.call('ZADD', key('dead'), now, a.refund_id) end
    redis.call('ZREM', key('busy', store), a.refund_id)
    admit(store)
end
return verdict
