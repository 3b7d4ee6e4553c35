-- Redis runs the scripts; scripts.py puts prelude.lua and lanes.lua in front of each script of the
-- ledger, so that what these define is known to all, and used by some.
std = "lua51"
max_line_length = 125
read_globals = {"redis", "cjson", "KEYS", "ARGV"}

local shared = {
    "SOURCE", "NEXT", "WIDTH", "PER_CALL_MS", "BURST_MS", "ns", "args", "now", "key", "int", "note", "emit",
    "publish", "publish_store", "is_suspended", "send", "set_state", "ack", "is_alive", "is_held", "step_messages",
    "charge", "is_paced", "admit", "line_up", "stand_back", "postpone", "release",
}
files["worker/ledger/lua/*.lua"] = {read_globals = shared}
files["worker/ledger/lua/prelude.lua"] = {ignore = {"211", "431", "411"}}
files["worker/ledger/lua/lanes.lua"] = {ignore = {"211"}}
