-- Everything a step changes, at once: state, history, facts, next message or due time, lane,
-- lease and the acknowledgement. Returns settled | stale.
local r = key('refund', a.refund_id)
local store, order = redis.call('HGET', r, 'store_id'), redis.call('HGET', r, 'order_id')
local lease = key('lease', store, order)
if redis.call('HGET', r, 'settled_fence') == a.fence then return 'settled' end
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
if a.next == 'now' then
    send(a.refund_id)
elseif a.next == 'later' then
    postpone(a.refund_id, store, a.due_in_ms)
else
    if a.state == 'dead' then redis.call('ZADD', key('dead'), now, a.refund_id) end
    redis.call('ZREM', key('busy', store), a.refund_id)
    admit(store)
end
return 'settled'
