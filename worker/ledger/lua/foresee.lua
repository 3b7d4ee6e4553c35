-- Say what a person would have to approve before a refund could make its call now; changes nothing.
-- args: refund_id, store_id; guard (worker/ledger/lua/guards.lua).
-- Returns what is asked (JSON), "" for nothing.
local asks = asked(args.refund_id, args.store_id, args.guard)
return asks and cjson.encode(asks) or ''
