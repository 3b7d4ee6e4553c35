-- A store may move in: the directory is asked once more before it does.
-- args: store_id.
-- Returns when the server lost writes (0 for never).
redis.call('SADD', key('newcomers'), args.store_id)
return server_lost_writes_at()
