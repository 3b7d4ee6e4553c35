-- At the front: in which cell a store lives; one that has none may get one.
-- args: store_id; settle_delay_ms; cell, that it gets ('' for none), and what grow.lua said before all cells
--       were asked about the store: cells (how many there are), lost_at_ms.
-- Returns {cell, ms for which nothing must be changed at Wix in a cell into which the store moves now}. The
-- cell is '' if the store has none; also if the front has lost writes since grow.lua or knows another number of
-- cells, because then what the cells said may be out of date.
local lost_at, count, grown_at = server_lost_writes_at(), growth()
local home = redis.call('HGET', key('homes'), args.store_id)
if not home and args.cell ~= '' and count == args.cells and lost_at == args.lost_at_ms then
    home = args.cell
    redis.call('HSET', key('homes'), args.store_id, home)
end
-- The front may have forgotten that the store had a cell, and so may that cell itself. If there are more
-- cells since, the store may get another one, while a call of the first one is still on its way to Wix. What
-- was recorded after the store got its cell is forgotten, too, and is recorded again after the loss; but the
-- server may have restarted twice.
local left = 0
if lost_at > 0 and grown_at > lost_at - args.settle_delay_ms then
    left = math.max(0, lost_at + args.settle_delay_ms - now)
end
return {home or '', left}
