-- In front of each script that records what a person did: the audit log. It is one chain: each entry
-- holds the SHA-256 of the one before. Lua has no SHA-256, and one that is written in Lua would block
-- the server for milliseconds, so the program makes the entry (worker/ledger/audit_log.py), and the
-- script accepts it only if the entry before is still the last. So no two writers can fork the chain.
-- args.act: id (of the call, to recognise its repeat after a lost reply); entry (JSON), hash (its
--           SHA-256), prev (the hash of the entry before, "" for the first).
local head = args.act and redis.call('HMGET', key('audit_head'), 'hash', 'act_id')
-- Whether this call was made before, and only its reply was lost.
local is_repeat = head and head[2] == args.act.id
if head and not is_repeat and (head[1] or '') ~= args.act.prev then
    return redis.error_reply('HEADMOVED another entry was appended to the audit log')
end

-- Append args.act to the audit log, in the same write as the act itself.
local function record_act()
    if not head or is_repeat then return end
    redis.call('XADD', key('audit_log'), '*', 'entry', args.act.entry, 'hash', args.act.hash)
    redis.call('HINCRBY', key('audit_head'), 'seq', 1)
    redis.call('HSET', key('audit_head'), 'hash', args.act.hash, 'act_id', args.act.id)
end
