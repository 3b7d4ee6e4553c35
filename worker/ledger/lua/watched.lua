-- A finished refund was looked at again: note what changed, and when to look next.
-- The wait doubles with the time since the end, from a.first_ms to a day; after a.for_ms it ends.
-- The change is written only onto the record that was looked at: a repeat whose first reply was
-- lost, or a second message, would tell upstream again under another id.
local r = key('refund', a.refund_id)
local ended = tonumber(redis.call('HGET', r, 'updated_at_ms') or 0)
if a.history and redis.call('HGET', r, 'version') == a.version then
    redis.call('HSET', r, 'facts', a.facts)
    redis.call('HINCRBY', r, 'version', 1)
    note(a.refund_id, a.history)
    publish(a.refund_id)
end
local age = now - ended
if age >= a.for_ms then
    redis.call('ZREM', key('watch'), a.refund_id)
else
    local wait = math.min(math.max(age, a.first_ms), 86400000)
    redis.call('ZADD', key('watch'), 'XX', now + wait, a.refund_id)
end
ack()
return 1
