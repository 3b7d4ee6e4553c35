-- Give up a message that never became a refund: its letter is deleted.
-- args: message_id; act.
-- Returns 1 | 0 (it is no letter any more).
if is_repeat then return 1 end
if redis.call('HDEL', key('quarantine'), args.message_id) == 0 then return 0 end
record_act()
return 1
