-- Record that an item of a bulk act was refused; it is not tried again.
-- args: job, id; text.
-- Returns 1 | 0 (it is not to be done any more).
if not is_due(args.job, args.id) then return 0 end
end_item(args.job, args.id, 'refused', args.text)
return 1
