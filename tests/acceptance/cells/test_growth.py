"""A store that Redis has forgotten gets another cell, because there are more cells by then."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Iterator

import pytest

from statemachine.flows import State
from tests.support.cells import Cells, new_stores
from tests.support.memories import Memory, restart
from tests.support.rig import AFTER, KEY
from worker.cells.choosing import choose

_STORES = [f"4b296c48-0000-4000-8000-{number:012}" for number in range(100)]
#: It would get another cell if there were a fourth one.
MOVING = next(one for one in _STORES if choose(one, 4) == "3")
OLD = choose(MOVING, 3)
#: It stays, in another cell than that one.
STAYING = next(one for one in _STORES if choose(one, 4) == choose(one, 3) != OLD)


@pytest.fixture
def cells(redis_url: str) -> Iterator[Cells]:
    """Four cells, of which the workers know three until one is added; they have run for a while."""
    keys = {one: {"account_id": "a", "api_key": KEY} for one in (MOVING, STAYING)}
    found = Cells(redis_url, 4, more={"stores": json.dumps(keys)})
    for rig in found.rigs.values():
        assert rig.app.routes is not None
        rig.app.routes._directory._count = 3
    found.directory_of(3).home(new_stores(1)[0])
    for rig in found.rigs.values():
        rig.ledger.wake_due("leader", lead_ms=1)
    yield found
    found.close()


class Forgotten:
    """A refund whose call is on its way to Wix, and that both the front and its cell forget."""

    def __init__(self, cells: Cells) -> None:
        self._cells, self.old = cells, cells.rigs[OLD]
        self.memories = [Memory(cells.front), Memory(self.old)]
        cells.simulator.add_store(MOVING, KEY)
        self.order = cells.simulator.add_order(MOVING, created_date=AFTER)
        self.send()
        cells.front.run_queued()
        self.old._one("refunds")
        self.old._one("steps")
        self._fingerprint = self.old.load("rf-1").fingerprint

    def send(self) -> None:
        """Upstream sends the job."""
        self._cells.front.request(self.order, "rf-1", store_id=MOVING)

    def forget(self) -> None:
        """Both servers lose their last second."""
        for memory in self.memories:
            memory.return_to()

    def send_again(self) -> None:
        """Upstream sends the job again, and it is taken as far as it may be."""
        self.send()
        self._cells.front.run_queued()
        self._cells.rigs["3"].run_queued()

    def arrive(self) -> None:
        """The call of the old cell comes to Wix at last."""
        self._cells.simulator.merchant_refunds(self.order.id, f"(ref {self._fingerprint})")


def _grow(cells: Cells) -> None:
    """Let a worker that knows of one cell more start."""
    cells.directory_of(4).grow()


def _let_the_settle_delay_pass(cells: Cells, cell: str) -> None:
    rig = cells.rigs[cell]
    rig.redis.hincrby(rig.key("clock"), "doubt_ms", -rig.settings.settle_delay_ms)
    rig.run_until_idle()


@pytest.mark.parametrize("events", ["forget, grow", "grow, forget, grow", "forget, grow, restart"])
def test_a_store_that_gets_another_cell_waits_for_the_call_of_the_first(
    cells: Cells, events: str, log: io.StringIO
) -> None:
    """The new cell has lost nothing itself, so it takes over the doubt of the front."""
    forgotten = Forgotten(cells)
    happens: dict[str, Callable[[], object]] = {
        "forget": forgotten.forget,
        "grow": lambda: _grow(cells),
        "restart": lambda: restart(cells.front),
    }
    for event in events.split(", "):
        happens[event]()
        cells.front.ledger.wake_due("leader", lead_ms=1)
    forgotten.send_again()
    assert cells.where("rf-1") == ["3"]
    assert forgotten.order.refunds == []
    [held] = [
        line
        for line in map(json.loads, log.getvalue().splitlines())
        if line["event"] == "store.cell_held_back"
    ]
    assert (held["cell"], held["store_id"]) == ("3", MOVING)
    forgotten.arrive()
    _let_the_settle_delay_pass(cells, "3")
    assert cells.load("rf-1").state is State.REFUNDED
    assert len(forgotten.order.refunds) == 1


def test_a_cell_that_an_older_version_added_counts_as_added_now(cells: Cells) -> None:
    """It writes the number of cells, but not since when."""
    forgotten = Forgotten(cells)
    forgotten.forget()
    cells.front.redis.hset(cells.front.key("installation"), "cells", 4)
    forgotten.send_again()
    assert cells.where("rf-1") == ["3"]
    assert forgotten.order.refunds == []


def test_without_another_cell_a_store_that_is_forgotten_waits_in_its_own(cells: Cells) -> None:
    """No other cell takes over the doubt of the front."""
    forgotten = Forgotten(cells)
    forgotten.forget()
    back_ms = cells.settings.settle_delay_ms + 60_000
    cells.front.redis.hincrby(cells.front.key("installation"), "grown_at_ms", -back_ms)
    refund_id = cells.request(STAYING)
    forgotten.send()
    for rig in cells.rigs.values():
        rig.run_queued()
    assert cells.where("rf-1") == [OLD]
    assert forgotten.order.refunds == []
    assert cells.load(refund_id).state is State.REFUNDED
