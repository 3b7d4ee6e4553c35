-- Redis runs the scripts. worker/ledger/scripts.py puts lost_writes.lua, prelude.lua, rate.lua, watch.lua, index.lua and lanes.lua
-- in front of each script of the ledger: what these define is global for the others, and unused in themselves.
std = "lua51"
max_line_length = 125
read_globals = {"redis", "cjson", "KEYS", "ARGV"}

local shared = {
    "AHEAD_MS", "wall", "offset", "last", "kept", "ns", "args", "now", "int", "other_ledger", "SOURCE", "STATES", "next_transition", "has_ended", "SCHEMA", "is_newer", "WIDTH", "RETRY_FOR_MS", "PER_CALL_MS",
    "BURST_MS", "MORE_CALLS", "expected_calls", "THROTTLED", "CIRCUIT", "note_answer", "note_failure", "retry_in_ms", "is_cut_off", "width_of", "key", "record_of", "change", "remove", "forget_changes", "write_changes", "note", "emit",
    "publish", "publish_store", "quiet", "is_quiet", "is_suspended", "record_accepted", "write_message", "send", "set_state",
    "acknowledge", "ack", "is_alive", "is_held", "is_lost", "server_lost_writes_at", "UNVOUCHED_MS", "was_asked", "era", "server_id", "held_back_ms", "SOON_MS", "time", "step_messages",
    "add_counts", "add_totals", "records", "replies", "changes", "follow_changes", "decoded", "text_of", "card_of", "joined", "WHOLE_CARD", "split", "units", "list_dead", "list_by", "list_failing", "list_accepted",
    "KINDS", "SEPARATOR", "UNKNOWN", "total",
    "charge", "is_paced", "calls_of", "surplus", "ahead_of", "reserve", "throttle", "plan_look", "line_up_look", "next_looks", "stop_observing",
    "is_mutating", "worker_of", "holder_of", "drop_lease", "paid", "write_rates", "held_by_execution", "take_lease",
    "claim_answer", "hand", "hand_over", "handed_before", "enter_ring",
    "admit", "is_ahead", "take_turn", "offer", "line_up", "early_by", "stand_back", "postpone", "release",
    -- acts.lua, in front of the scripts that record what a person does.
    "record_act", "is_repeat", "go_on",
    -- cells.lua, in front of the scripts that need the number of cells.
    "growth",
    -- guards.lua, in front of the scripts that ask the money guards.
    "guarded", "asked", "uncount", "await_approval", "count_found",
    "is_on_hold", "may_have_forgotten", "schema_on_hold", "lift_hold", "is_paused", "set_aside", "is_due", "end_item", "finish_job",
}
files["worker/ledger/lua/*.lua"] = {read_globals = shared}
local clock = {
    "AHEAD_MS", "wall", "offset", "last", "kept", "ns", "args", "now", "int", "time", "add_counts", "era", "server_id",
}
files["worker/queue/queue.lua"] = {read_globals = clock}
files["worker/queue/clock.lua"] = {ignore = {"211", "311"}}
files["worker/queue/counters.lua"] = {read_globals = clock, ignore = {"211"}, globals = {"kept"}}
files["worker/queue/lost_writes.lua"] = {read_globals = clock, ignore = {"211", "431"}, globals = {"kept"}}
-- The reply that a claim reads is the table of its own answer.
files["worker/ledger/lua/leases.lua"] = {ignore = {"211"}, globals = {"replies"}}
-- commit.lua suspends a store, and puts texts into its arguments.
files["worker/ledger/lua/commit.lua"] = {globals = {"args", "quiet"}}
-- wake.lua ticks the clock.
files["worker/ledger/lua/wake.lua"] = {globals = {"now", "offset", "last"}}
-- accept.lua writes many refunds at once.
files["worker/ledger/lua/accept.lua"] = {globals = {"touched", "state_counts"}}
-- 211: unused variable.
files["worker/ledger/lua/prelude.lua"] = {ignore = {"211", "241"}, globals = {"kept"}}
files["worker/ledger/lua/circuit.lua"] = {ignore = {"211"}}
files["worker/ledger/lua/rate.lua"] = {ignore = {"211"}}
files["worker/ledger/lua/watch.lua"] = {ignore = {"211"}}
files["worker/ledger/lua/index.lua"] = {ignore = {"211"}}
files["worker/ledger/lua/lanes.lua"] = {ignore = {"211"}, globals = {"paid"}}
files["worker/ledger/lua/acts.lua"] = {ignore = {"211"}}
files["worker/ledger/lua/cells.lua"] = {ignore = {"211"}}
files["worker/ledger/lua/guards.lua"] = {ignore = {"211"}}
