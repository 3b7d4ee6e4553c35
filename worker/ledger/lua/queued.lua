-- Find jobs that wait in upstream's queue, a bounded piece per call. Changes nothing.
-- args: queue; start (place in the queue, from 0), piece; needle (a text in the job).
-- Returns {how many messages the piece had; place and message, place, ...}.
local ids = redis.call('LRANGE', key(args.queue), args.start, args.start + args.piece - 1)
local found = {#ids}
if #ids == 0 then return found end
for place, message in ipairs(redis.call('HMGET', key(args.queue .. '.msgs'), unpack(ids))) do
    if message and string.find(message, args.needle, 1, true) then
        found[#found + 1] = args.start + place - 1
        found[#found + 1] = message
    end
end
return found
