-- Stop a refund where it is, until a person releases it. A step that runs finishes first.
-- args: refund_id; hold (JSON: who, why), schema (workers before it do not know holds);
--       dead_after_ms; history (JSON); act.
-- Returns held | stopping (after the step that runs) | already | ended | newer.
local record, id = key('refund', args.refund_id), args.refund_id
local known = redis.call('HMGET', record, 'state', 'store_id', 'schema', 'held_by')
local state, store = known[1], known[2]
if not state or ENDED[state] then return 'ended' end
if is_newer(id) then return 'newer' end
local running = is_held(record, store)
if is_on_hold(id) and not is_repeat then return 'already' end
if is_repeat then return running and 'stopping' or 'held' end
redis.call('HSET', record, 'hold', args.hold, 'hold_at_ms', int(now), 'schema', args.schema,
    'schema_before_hold', known[3] or '')
note(id, args.history)
record_act()
if running then return 'stopping' end
set_aside(id, store)
return 'held'
