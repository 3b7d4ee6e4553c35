-- Make a directory the archive of this ledger, in the place of the one that it had.
-- args: archive (its id); act.
-- Returns 1.
if is_repeat then return 1 end
redis.call('HSET', key('keeping'), 'archive', args.archive)
record_act()
return 1
