"""Workers vouch for their own calls only, not for those of another cell."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.cells import Cells, new_stores
from tests.support.failovers import GRACE_MS, fail_over, let_pass
from tests.support.rig import STORE_ID, Rig
from worker.cells.choosing import choose
from worker.cells.placing import Home

#: What the directory says of a store that moves in after a loss.
_HOLD_MS = 200_000
#: How far the clock of a ledger runs ahead of its last tick (`worker/queue/clock.lua`).
CLOCK_AHEAD_MS = 5_000


@pytest.fixture
def cells(redis_url: str) -> Iterator[Cells]:
    """Three cells, whose workers have vouched in ledgers that have ticked."""
    found = Cells(redis_url)
    found.directory.home(new_stores(1)[0])
    found.vouch()
    yield found
    found.close()


def _must_wait_for_all(rig: Rig) -> bool:
    """Whether somebody has to vouch whom nobody can ask."""
    return rig.redis.zscore(rig.key("unvouched"), "*") is not None


def test_a_front_that_remembers_its_cells_goes_on_when_its_workers_have_vouched(
    cells: Cells,
) -> None:
    """Its own calls are all that it may have forgotten."""
    let_pass(cells.front, 1_000)
    fail_over(cells.front)
    cells.front.broker.beat()
    assert cells.front.redis.zcard(cells.front.key("unvouched")) == 0


@pytest.mark.parametrize("is_told", [False, True])
def test_a_front_that_forgot_its_cells_waits_whoever_vouches(
    cells: Cells, *, is_told: bool
) -> None:
    """A worker without cells may have accepted the jobs of a store that lives in one."""
    fields = ("cells", "grown_to", "grown_at_ms")
    cells.front.redis.hdel(cells.front.key("installation"), *fields)
    fail_over(cells.front)
    if is_told:
        cells.directory.grow()
    cells.front.broker.beat()
    assert _must_wait_for_all(cells.front)


def test_the_doubt_of_the_front_is_never_one_that_the_cell_had(cells: Cells) -> None:
    """Its workers have vouched for that one: the clock may stand still, or a millisecond last."""
    rig, placing = cells.rigs[choose(STORE_ID, 3)], cells.directory._placing
    home = Home(choose(STORE_ID, 3), rig.settings.settle_delay_ms - CLOCK_AHEAD_MS)
    clock = rig.key("clock")
    rig.redis.hincrby(clock, "offset_ms", 3_600_000)
    doubt_ms = int(rig.redis.hget(clock, "last_ms"))
    rig.redis.hset(clock, "doubt_ms", doubt_ms)
    assert placing.move_in(home, STORE_ID, placing.announce(home.cell, STORE_ID))
    assert int(rig.redis.hget(clock, "doubt_ms")) == doubt_ms + 1


def test_a_cell_that_took_over_the_doubt_of_the_front_waits_whoever_vouches(cells: Cells) -> None:
    """Also if it has a later doubt of its own, for which its workers have vouched."""
    rig, placing = cells.rigs[choose(STORE_ID, 3)], cells.directory._placing
    fail_over(rig)
    rig.broker.beat()
    let_pass(rig, GRACE_MS)
    home = Home(choose(STORE_ID, 3), _HOLD_MS)
    cells.front.redis.hset(cells.front.key("homes"), STORE_ID, home.cell)
    assert placing.move_in(home, STORE_ID, placing.announce(home.cell, STORE_ID))
    refund_id = cells.request()
    cells.front.run_queued()
    rig.run_queued()
    rig.broker.beat()
    refund = rig.load(refund_id)
    assert refund.due_at_ms - rig.ledger.now_ms() > _HOLD_MS / 2
    assert cells.simulator.orders[refund.request.order_id].refunds == []
