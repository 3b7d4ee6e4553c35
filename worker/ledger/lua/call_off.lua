-- Call off a refund that has changed nothing at Wix.
-- args: refund_id, version (as it was read); resolution (JSON: who, why); settle_delay_ms,
--       dead_after_ms; history (JSON), outcome; act.
-- Returns called_off | changed | ended | newer | running | unclear (a call may have been made).
if is_repeat then return 'called_off' end
local record, id = key('refund', args.refund_id), args.refund_id
local known = redis.call('HMGET', record, 'state', 'version', 'store_id', 'order_id', 'held_by',
    'intent_at_ms', 'committed_at_ms')
local state, store = known[1], known[3]
if not state or ENDED[state] then return 'ended' end
if is_newer(id) then return 'newer' end
if is_held(record, store) then return 'running' end
if known[2] ~= args.version then return 'changed' end
if tonumber(known[6] or 0) > 0 then return 'unclear' end
-- The server may have forgotten an intent, as in claim.lua.
local lost_at = server_lost_writes_at()
if lost_at > 0 and (tonumber(known[7] or 0) <= lost_at or now < lost_at + args.settle_delay_ms) then return 'unclear' end
-- The worker that held it is silent; should it continue after all, its intent finds no lease.
local lease = key('lease', store, known[4])
if known[5] and redis.call('GET', lease) == known[5] then redis.call('DEL', lease) end
redis.call('HDEL', record, 'held_by')
redis.call('HSET', record, 'resolution', args.resolution, 'due_at_ms', 0, 'updated_at_ms', int(now))
redis.call('HINCRBY', record, 'version', 1)
set_state(id, 'called_off')
redis.call('ZREM', key('due'), id)
redis.call('ZREM', key('lane', store), id)
redis.call('ZREM', key('busy', store), id)
note(id, args.history)
publish(id)
record_act()
admit(store)
return 'called_off'
