-- Delete the selection of a bulk act, unless it was started.
-- args: job.
-- Returns '' if it is gone, else the state that it has.
local name = key('job', args.job)
local state = redis.call('HGET', name, 'state') or 'frozen'
if state ~= 'frozen' then return state end
redis.call('DEL', name, key('job', args.job, 'todo'), key('job', args.job, 'items'))
redis.call('ZREM', key('jobs'), args.job)
return ''
