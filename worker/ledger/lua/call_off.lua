-- Call off a refund that has changed nothing at Wix.
-- args: refund_id, version (as it was read); resolution (JSON: who, why); settle_delay_ms,
--       dead_after_ms; history (JSON), outcome; act.
-- Returns called_off | changed | ended | newer | running | unclear (a call may have been made).
if is_repeat then return 'called_off' end
local id = args.refund_id
local record = record_of(id)
local state, store = record.state, record.store_id
if not state or has_ended(state) then return 'ended' end
if is_newer(id) then return 'newer' end
if is_held(id) then return 'running' end
if record.version ~= args.version then return 'changed' end
if tonumber(record.intent_at_ms or 0) > 0 then return 'unclear' end
-- The server may have forgotten an intent, as in claim.lua.
if may_have_forgotten(id) then return 'unclear' end
-- The worker that held it is silent; should it continue after all, its intent finds no lease.
local lease = key('lease', store, record.order_id)
if record.held_by and redis.call('GET', lease) == record.held_by then redis.call('DEL', lease) end
remove(id, 'held_by')
change(id, {resolution = args.resolution, due_at_ms = 0, updated_at_ms = now, version = record.version + 1})
set_state(id, 'called_off')
redis.call('ZREM', key('due'), id)
redis.call('ZREM', key('lane', store), id)
redis.call('ZREM', key('busy', store), id)
uncount(id)
note(id, args.history)
publish(id, args)
record_act()
admit(store)
return 'called_off'
