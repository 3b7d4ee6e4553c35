-- Put refunds into the lists that they belong to, and out of the others (index.lua): records of older
-- versions, which do not know the lists, and what was damaged.
-- args: ids; thorough (also what looks right is listed again).
-- Returns how many refunds were listed differently.
local changed = 0
for _, id in ipairs(args.ids) do
    local record = record_of(id)
    if record.state then
        local card, failing = redis.call('HGET', key('cards'), id), record.failing
        list_accepted(id, record)
        if has_ended(record.state) and record.state ~= 'dead' and not record.packed then
            redis.call('SADD', key('unpacked'), id)
        end
        list_failing(id, record)
        list_dead(id, record)
        local now_listed = redis.call('HGET', key('cards'), id)
        if args.thorough and now_listed then
            list_by(id, split(now_listed), '-')
            list_by(id, split(now_listed), '')
        end
        if card ~= now_listed or failing ~= record.failing then changed = changed + 1 end
    end
end
return changed
