-- Set a refund going that holds a slot but that nobody holds or will be told of. Returns 1 if so.
local r = key('refund', a.refund_id)
local store = redis.call('HGET', r, 'store_id')
if not redis.call('ZSCORE', key('busy', store), a.refund_id) then return 0 end
local held_by = redis.call('HGET', r, 'held_by')
local lease = redis.call('GET', key('lease', store, redis.call('HGET', r, 'order_id')))
if held_by and lease == held_by and is_alive(string.match(held_by, '^[^|]+')) then return 0 end
local message_id = redis.call('HGET', r, 'message_id')
if message_id then
    if redis.call('LPOS', ns .. ':steps', message_id) then return 0 end
    for _, worker_id in ipairs(redis.call('ZRANGE', key('workers'), 0, -1)) do
        if redis.call('LPOS', key('steps', 'inflight', worker_id), message_id) then return 0 end
    end
    redis.call('HDEL', ns .. ':steps.msgs', message_id)
end
if NEXT[redis.call('HGET', r, 'state')] then send(a.refund_id) return 1 end
redis.call('ZREM', key('busy', store), a.refund_id)
admit(store)
return 0
