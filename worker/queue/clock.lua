-- In front of every script: the ledger's clock. KEYS[1] is "{namespace}", ARGV[1] the script's
-- arguments as a JSON object.
--
-- Waits that protect money must not be measured by a clock that can step: the server's time may be
-- set by an hour, or be another machine's after a failover. So the ledger's clock is the server's
-- plus an offset. The scheduler's leader ticks it (wake.lua) with the time that its own monotonic
-- clock says has passed, and a step of the server's clock goes into the offset. Between two ticks the
-- ledger's clock never runs backwards, and at most AHEAD_MS ahead of the last tick.
--   {ns}:clock  HASH offset_ms, last_ms (the last tick, by the ledger's clock), boot_id and boot_ms
--               (the last tick, by the leader's clock), run_id (of the server), doubt_ms (when the
--               server was last found to be another one, or restarted); minute and day (see counters.lua);
--               asked_for, doubted_until_ms and unresolved_ms (see lost_writes.lua)
local ns = KEYS[1]
local args = cjson.decode(ARGV[1])
local AHEAD_MS = 5000
-- The digits of a number, rounded; '%.0f' takes three times as long.
local function int(number) return string.format('%d', math.floor(number + 0.5)) end

local time = redis.call('TIME')
-- The server's own time, unix ms: for people to read, never to measure a wait.
local wall = time[1] * 1000 + math.floor(time[2] / 1000)
local kept = redis.call('HMGET', ns .. ':clock', 'offset_ms', 'last_ms', 'run_id', 'doubt_ms', 'minute', 'day', 'asked_for',
    'doubted_until_ms', 'unresolved_ms')
local offset, last = tonumber(kept[1] or 0), tonumber(kept[2] or 0)
-- The ledger's time, unix ms.
local now = wall + offset
if last > 0 then now = math.max(last, math.min(now, last + AHEAD_MS)) end
