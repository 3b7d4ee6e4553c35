"""A worker that goes on late, with what it knew before the servers forgot it."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Iterator

import pytest

from tests.support.cells import Cells, new_stores
from tests.support.memories import Memory, restart
from worker.cells.choosing import choose
from worker.cells.names import FRONT
from worker.cells.placing import Home
from worker.cells.routing import Routes, Sorted, Valid


@pytest.fixture
def cells(redis_url: str) -> Iterator[Cells]:
    """The front and three cells, whose servers are known."""
    found = Cells(redis_url)
    for rig in found.rigs.values():
        rig.ledger.wake_due("leader", lead_ms=1)
    yield found
    found.close()


def _moving_store() -> str:
    """Return a new store that would get another cell if there were a fourth one."""
    return next(one for one in new_stores(100) if choose(one, 4) == "3")


def _routes(cells: Cells, cell: str) -> Routes:
    routes = cells.rigs[cell].app.routes
    assert routes is not None
    return routes


def _once_sorted(routes: Routes, happens: Callable[[], object]) -> None:
    """Let something happen when the next jobs are sorted, before they are accepted."""
    sort = routes.sort

    def sorted_late(valid: list[Valid]) -> Sorted:
        result = sort(valid)
        routes.sort = sort  # type: ignore[method-assign]  # as it was
        happens()
        return result

    routes.sort = sorted_late  # type: ignore[method-assign]  # the moment


def test_a_store_is_not_placed_by_what_cells_said_before_the_front_lost_writes(
    cells: Cells,
) -> None:
    """The worker knows of three cells; another one has added the fourth meanwhile."""
    store_id, before, directory = _moving_store(), Memory(cells.front), cells.directory_of(3)
    evidence, asked = directory.evidence, list[tuple[str, ...]]()

    def frozen_while_it_asks(store: str, names: tuple[str, ...]) -> str | None:
        found = evidence(store, names)
        asked.append(names)
        if len(asked) == 1:
            cells.directory_of(4).home(new_stores(1)[0])
            before.return_to()
        return found

    directory.evidence = frozen_while_it_asks  # type: ignore[method-assign,assignment]  # the moment
    assert directory.home(store_id) == "3"
    assert [len(names) for names in asked] == [4, 5]


def test_a_store_is_not_placed_by_another_number_of_cells_than_there_is(cells: Cells) -> None:
    """Should the front forget the store, it would not know that cells were added since."""
    store_id, placing = _moving_store(), cells.directory._placing
    asked = placing.grow(FRONT, 3)
    cells.directory_of(4).grow()
    assert placing.place(store_id, choose(store_id, 3), asked).cell == ""
    assert placing.place(store_id, "3", placing.grow(FRONT, 3)).cell == "3"


def test_a_newcomer_that_was_announced_before_the_cell_lost_writes_does_not_move_in(
    cells: Cells,
) -> None:
    """Another worker has announced it since, and has not yet asked the directory once more."""
    store_id, placing, rig = _moving_store(), cells.directory._placing, cells.rigs["1"]
    announced = placing.announce("1", store_id)
    restart(rig)
    again = placing.announce("1", store_id)
    assert not placing.move_in(Home("1", 0), store_id, announced)
    placing.announce("1", store_id)
    assert placing.move_in(Home("1", 0), store_id, again)


def test_a_cell_that_forgot_a_newcomer_asks_the_directory_again(cells: Cells) -> None:
    """The front has forgotten the store, too, and it has got another cell meanwhile."""
    store_id, directory = _moving_store(), cells.directory_of(3)
    old = directory.home(store_id)
    before, look, looks = Memory(cells.rigs[old]), directory.look, list[str]()

    def frozen_after_the_second_look(store: str) -> Home:
        found = look(store)
        looks.append(found.cell)
        if len(looks) == 2:
            before.return_to()
            cells.front.redis.hdel(cells.front.key("homes"), store)
            assert cells.directory_of(4).home(store) == "3"
        return found

    directory.look = frozen_after_the_second_look  # type: ignore[method-assign,assignment]  # the moment
    assert directory.settle(store_id) == "3"
    assert looks[:2] == [old, old]
    assert directory.living_in(old, [store_id]) == set()
    assert directory.living_in("3", [store_id]) == {store_id}


def test_a_cell_accepts_no_job_of_a_store_that_it_has_just_forgotten(
    cells: Cells, log: io.StringIO
) -> None:
    """The call that accepts it may come to a server that has restarted since."""
    store_id = _moving_store()
    refund_id = cells.request(store_id)
    cells.front.run_queued()
    old = cells.rigs[choose(store_id, 3)]

    def forget() -> None:
        old.redis.srem(old.key("residents"), store_id)
        cells.front.redis.hdel(cells.front.key("homes"), store_id)
        assert cells.directory_of(4).home(store_id) == "3"

    _once_sorted(_routes(cells, choose(store_id, 3)), forget)
    old.run_queued()
    assert cells.where(refund_id) == []
    assert cells.front.redis.llen(f"{{{cells.settings.namespace}:3}}:refunds") == 1
    [unsettled] = [
        line
        for line in map(json.loads, log.getvalue().splitlines())
        if line["event"] == "step.unsettled"
    ]
    assert "does not live in this cell" in unsettled["error"]


def test_the_front_accepts_no_job_of_a_store_that_has_got_a_cell(cells: Cells) -> None:
    """After its worker has looked into the directory."""
    [store_id] = new_stores(1)
    homes = cells.front.key("homes")
    cells.front.redis.hset(homes, store_id, FRONT)
    refund_id = cells.request(store_id)
    _once_sorted(_routes(cells, FRONT), lambda: cells.front.redis.hset(homes, store_id, "1"))
    cells.front.run_queued()
    assert cells.where(refund_id) == []
    assert cells.rigs["1"].redis.llen(cells.rigs["1"].key("refunds")) == 1


def test_what_a_person_writes_into_the_directory_holds_for_the_next_job(cells: Cells) -> None:
    """Workers that go by what it was would put the store into two cells."""
    [store_id] = new_stores(1)
    homes = cells.front.key("homes")
    for cell in ("0", "2", FRONT):
        cells.front.redis.hset(homes, store_id, cell)
        refund_id = cells.request(store_id)
        cells.front.run_queued()
        for other in ("0", "2"):
            cells.rigs[other].run_queued()
        assert cells.where(refund_id) == [cell]


def test_a_conflict_that_the_cell_forgets_meanwhile_comes_again(cells: Cells) -> None:
    """It is no letter: the script has only found that the store does not live there any more."""
    [store_id] = new_stores(1)
    cells.request(store_id, "rf-1")
    cells.front.run_queued()
    rig = cells.rigs[choose(store_id, 3)]
    rig.run_queued()
    cells.request(store_id, "rf-1")
    cells.front.run_queued()

    def forget(_: object) -> str:
        rig.redis.delete(rig.key("refund", "rf-1"))
        rig.redis.srem(rig.key("residents"), store_id)
        return "another digest"

    masked, rig.ledger.masked_digest = rig.ledger.masked_digest, forget  # type: ignore[method-assign,assignment]  # the moment
    rig.run_queued()
    rig.ledger.masked_digest = masked  # type: ignore[method-assign]  # as it was
    assert not rig.broker.quarantined()
