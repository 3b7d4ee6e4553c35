-- Start, stop or continue a bulk act.
-- args: job; from {state: true}, to; act.
-- Returns {1 | 0 (it is not in one of these states), the state that it has}.
local name = key('job', args.job)
local state = redis.call('HGET', name, 'state') or ''
if is_repeat then return {1, state} end
if not args.from[state] then return {0, state} end
if state == 'frozen' then
    redis.call('HSET', name, 'started_at_ms', int(wall))
    for _, each in ipairs({name, key('job', args.job, 'todo'), key('job', args.job, 'items')}) do
        redis.call('PERSIST', each)
    end
end
-- After the canary, all of them.
if state == 'waiting' then redis.call('HSET', name, 'canary_left', 0) end
redis.call('HSET', name, 'state', args.to)
if args.to == 'running' then
    redis.call('SADD', key('jobs_running'), args.job)
    if redis.call('ZCARD', key('job', args.job, 'todo')) == 0 then finish_job(args.job) end
else
    redis.call('SREM', key('jobs_running'), args.job)
end
record_act()
return {1, args.to}
