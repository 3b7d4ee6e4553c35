"""Random histories: whatever the front forgets and however cells are added, one cell per store."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

import pytest
import redis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.support.cells import Cells, new_stores
from worker.cells.choosing import choose
from worker.cells.directory import Directory
from worker.cells.placing import Home

#: What may happen to a store that would get another cell if there were one more.
EVENTS = st.sampled_from(["send", "front", "late front", "old cell", "new cell", "forget", "grow"])


@pytest.fixture(scope="module")
def cells(redis_url: str) -> Iterator[Cells]:
    """Four cells, of which the workers know three until one is added."""
    found = Cells(redis_url, 4)
    for rig in found.rigs.values():
        assert rig.app.routes is not None
        rig.app.routes._directory._count = 3
    yield found
    found.close()


def _run_late_front(cells: Cells, seen: dict[str, str]) -> None:
    """Let a worker take the jobs that goes by what the directory said first."""
    routes = cells.front.app.routes
    assert routes is not None
    directory = routes._directory
    look = directory.all_known

    def seen_long_ago(store_ids: Iterable[str]) -> dict[str, str]:
        found = look(store_ids)
        seen.update({**found, **seen})
        return dict(seen)

    directory.all_known = seen_long_ago  # type: ignore[method-assign]  # the moment
    cells.front.run_queued()
    directory.all_known = look  # type: ignore[method-assign]  # as it was


def _moving_store() -> str:
    """Return a new store that would get another cell if there were a fourth one."""
    return next(one for one in new_stores(100) if choose(one, 4) == "3")


@settings(
    max_examples=40,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
    deadline=None,
)
@given(events=st.lists(EVENTS, min_size=6, max_size=30))
def test_a_store_never_has_refunds_in_two_cells(cells: Cells, events: list[str]) -> None:
    """And no job is lost."""
    store_id = _moving_store()
    cells.front.redis.hset(cells.front.key("installation"), "cells", 3)
    sent, seen = list[str](), dict[str, str]()
    happens: dict[str, Callable[[], object]] = {
        "send": lambda: sent.append(cells.request(store_id)),
        "front": cells.front.run_queued,
        "late front": lambda: _run_late_front(cells, seen),
        "old cell": cells.rigs[choose(store_id, 3)].run_queued,
        "new cell": cells.rigs["3"].run_queued,
        "forget": lambda: cells.front.redis.hdel(cells.front.key("homes"), store_id),
        "grow": lambda: cells.directory_of(4).grow(),
    }
    for event in events:
        happens[event]()
    for _ in range(4):
        for rig in cells.rigs.values():
            rig.run_queued()
    assert all(len(cells.where(refund_id)) == 1 for refund_id in sent)
    assert len({cells.where(refund_id)[0] for refund_id in sent}) <= 1


def _sent_to_its_cell(cells: Cells, store_id: str) -> tuple[str, str, Directory]:
    """Let the front send on a job; return its refund, its cell and the directory of that cell."""
    refund_id, cell = cells.request(store_id), choose(store_id, 3)
    cells.front.run_queued()
    routes = cells.rigs[cell].app.routes
    assert routes is not None
    return refund_id, cell, routes._directory


def test_a_worker_that_was_frozen_before_its_cell_knew_the_store_asks_again(
    redis_url: str,
) -> None:
    """The front has lost the entry meanwhile, and another worker has placed the store anew."""
    cells = Cells(redis_url)
    store_id = _moving_store()
    refund_id, old, directory = _sent_to_its_cell(cells, store_id)
    look, looks = directory.look, list[str]()

    def frozen_after_the_first_look(store: str) -> Home:
        found = look(store)
        if len(looks) < 2:
            looks.append(found.cell)
        if len(looks) == 2:
            looks.append("")
            cells.front.redis.hdel(cells.front.key("homes"), store)
            assert cells.directory_of(4).home(store) == choose(store, 4)
        return found

    directory.look = frozen_after_the_first_look  # type: ignore[method-assign,assignment]  # the moment
    cells.rigs[old].run_queued()
    assert cells.where(refund_id) == []
    assert not cells.rigs[old].redis.sismember(cells.rigs[old].key("residents"), store_id)
    assert cells.front.redis.llen(f"{{{cells.settings.namespace}:3}}:refunds") == 1
    cells.close()


def test_a_worker_that_is_killed_before_it_asks_again_leaves_no_resident(redis_url: str) -> None:
    """The others of its cell would accept the jobs of a store that has got another cell."""
    cells = Cells(redis_url)
    store_id = _moving_store()
    refund_id, old, directory = _sent_to_its_cell(cells, store_id)
    look, looks = directory.look, list[str]()

    def killed_at_the_second_look(store: str) -> Home:
        looks.append(store)
        if len(looks) == 2:
            raise redis.ConnectionError("killed")
        cells.front.redis.hdel(cells.front.key("homes"), store)
        assert cells.directory_of(4).home(store) == "3"
        return Home(old, 0)

    directory.look = killed_at_the_second_look  # type: ignore[method-assign,assignment]  # the moment
    with pytest.raises(redis.ConnectionError):
        directory.settle(store_id)
    directory.look = look  # type: ignore[method-assign]  # as it was
    for rig in (cells.rigs[old], cells.front):
        rig.run_queued()
    assert cells.where(refund_id) == []
    assert cells.front.redis.llen(f"{{{cells.settings.namespace}:3}}:refunds") == 1
    cells.close()


def test_a_cell_that_the_front_forgets_is_known_to_the_others(redis_url: str) -> None:
    """A worker that was started before it was added still runs, and would place its stores anew."""
    cells = Cells(redis_url, 4)
    store_id = _moving_store()
    assert cells.directory_of(4).settle(store_id) == "3"
    cells.front.redis.hdel(cells.front.key("homes"), store_id)
    cells.front.redis.hdel(cells.front.key("installation"), "cells")
    assert cells.directory_of(3).home(store_id) == "3"
    cells.close()


def test_a_front_that_forgets_that_there_are_cells_is_told_with_the_next_jobs(
    redis_url: str,
) -> None:
    """A worker that knows of no cells may still run, and would accept jobs of stores in a cell."""
    cells = Cells(redis_url)
    store_id = _moving_store()
    cells.request(store_id)
    cells.front.run_queued()
    cells.front.redis.hdel(cells.front.key("installation"), "cells")
    cells.request(store_id)
    cells.front.run_queued()
    assert cells.front.redis.hget(cells.front.key("installation"), "cells") == "3"
    cells.close()
