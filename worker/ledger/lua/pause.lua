-- Let the lane of a store wait, or those of all stores, until a person resumes it.
-- args: store_id ("*" for all); pause (JSON: who, why, since_ms); outcome; act.
-- Returns 1 | 0 (it was paused already).
if is_repeat then return 1 end
if redis.call('HSETNX', key('paused'), args.store_id, args.pause) == 0 then return 0 end
record_act()
if args.store_id == '*' then
    emit(args.outcome, '*', 'all/' .. redis.call('HGET', key('audit_head'), 'seq') .. '/' .. args.outcome.step)
else
    publish_store(args.store_id, args.outcome)
end
return 1
