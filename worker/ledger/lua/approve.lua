-- Approve a refund that waits for it, as it was read; the last approval that it needs lets it go on.
-- args: refund_id, version (as it was read); given (JSON: person, by, why): what is known of the person,
--       and their words; history (JSON); act.
-- Returns {status, how many have approved, how many must}; status: approved (it goes on) | noted |
-- again (by the same person) | changed | not_waiting.
local id = args.refund_id
local record = record_of(id)
local is_waiting = decoded(record.hold).reason == 'needs_approval'
local people, given = tonumber(decoded(record.approval).people or 1), decoded(record.approvals)
if is_repeat then return {is_waiting and 'noted' or 'approved', #given, people} end
if not is_waiting or has_ended(record.state) then return {'not_waiting', 0, 0} end
if is_newer(id) or record.version ~= args.version then return {'changed', 0, 0} end
local mine = decoded(args.given)
for _, each in ipairs(given) do
    if each.person == mine.person then return {'again', #given, people} end
end
mine.at_ms = wall
given[#given + 1] = mine
change(id, {approvals = cjson.encode(given), updated_at_ms = now})
note(id, args.history)
record_act()
if #given < people then return {'noted', #given, people} end
go_on(id)
return {'approved', #given, people}
