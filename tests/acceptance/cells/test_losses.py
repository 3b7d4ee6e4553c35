"""Random losses: servers lose their last second while cells are added and workers are frozen.

A store may get another cell only if this one waits for the calls that the first may have begun.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from tests.support.cells import Cells
from tests.support.memories import Memory
from worker.cells.choosing import choose
from worker.cells.names import FRONT

#: It would get another cell if there were a fourth one.
STORE = next(one for one in map(str, range(100)) if choose(one, 4) == "3")
OLD = choose(STORE, 3)
#: Servers that lose what was written since the last second passed.
SERVERS = (FRONT, OLD, "3")
#: The scripts of one settling are fewer.
CALLS = 14

#: Servers that fail together.
_LOSSES = [f"lose {names}" for names in (FRONT, OLD, "3", f"{FRONT} {OLD}", " ".join(SERVERS))]
_simple = st.sampled_from([*_LOSSES, "3 cells", "4 cells", "4 cells", "a second"])
#: A worker settles the store; or it is frozen before one of its calls while other things happen.
_frozen = st.tuples(
    st.sampled_from([3, 4]), st.integers(0, CALLS), st.lists(_simple, min_size=1, max_size=5)
)
EVENTS = st.lists(st.one_of(_simple, _frozen), min_size=1, max_size=6)


class History:
    """What happens to one store, and what each server has on its disk."""

    def __init__(self, cells: Cells) -> None:
        self._cells = cells
        self._lived_in: set[str] = set()
        self._pass_a_second()

    def happen(self, event: Any) -> None:
        """Let something happen."""
        if isinstance(event, tuple):
            self._settle(*event)
        elif event == "a second":
            self._pass_a_second()
        elif event.startswith("lose "):
            for server in event.split()[1:]:
                self._disks[server].return_to()
        else:
            self._settle(int(event[0]), CALLS, [])

    def _pass_a_second(self) -> None:
        self._disks = {server: Memory(self._cells.rigs[server]) for server in SERVERS}

    def _settle(self, count: int, frozen_at: int, meanwhile: list[Any]) -> None:
        """Let a worker that knows of so many cells settle the store."""
        directory, calls = self._cells.directory_of(count), list[str]()
        run = directory._placing._run

        def watched(name: str, cell: str, /, **arguments: Any) -> Any:
            calls.append(name)
            if len(calls) - 1 == frozen_at:
                for event in meanwhile:
                    self.happen(event)
            answer = run(name, cell, **arguments)
            if name == "move_in" and answer:
                self._check(cell)
            return answer

        directory._placing._run = watched  # type: ignore[method-assign]  # the moment
        directory.settle(STORE)

    def _check(self, cell: str) -> None:
        """A cell in which the store lives now waits, if another one may have begun a call."""
        rig = self._cells.rigs[cell]
        if self._lived_in - {cell}:
            doubt_ms = int(rig.redis.hget(rig.key("clock"), "doubt_ms") or 0)
            assert doubt_ms + rig.settings.settle_delay_ms > rig.ledger.now_ms()
        self._lived_in.add(cell)
        directory = self._cells.directory
        living = [one for one in ("0", "1", "2", "3") if directory.living_in(one, [STORE])]
        assert living == [cell]


@pytest.fixture(scope="module")
def cells(redis_url: str) -> Iterator[tuple[Cells, list[Memory]]]:
    """Four cells of which three are known, and what is on the disks before anything happens."""
    found = Cells(redis_url, 4)
    found.directory_of(3).home("another store")
    for rig in found.rigs.values():
        rig.ledger.wake_due("leader", lead_ms=1)
    # These were added long ago.
    long_ms = found.settings.settle_delay_ms + 60_000
    found.front.redis.hincrby(found.front.key("installation"), "grown_at_ms", -long_ms)
    yield found, [Memory(rig) for rig in found.rigs.values()]
    found.close()


@settings(
    max_examples=40,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
    deadline=None,
)
@given(events=EVENTS)
# The front and the cell forget the store.
@example(events=["3 cells", f"lose {FRONT} {OLD}"])
# So do they after a worker that knows of fewer cells has asked all, and before it places the store.
@example(events=[(3, 5, ["4 cells", f"lose {FRONT} 3"])])
# So do they after a worker has announced the store, and before it moves the store in.
@example(events=[(3, 8, [f"lose {FRONT} {OLD}", "4 cells"])])
def test_another_cell_waits_for_what_the_first_may_have_begun(
    cells: tuple[Cells, list[Memory]], events: list[Any]
) -> None:
    """And the store never lives in two cells."""
    found, disks = cells
    for disk in disks:
        disk.return_to(as_it_was=True)
    for rig in found.rigs.values():
        # Without a tick the ledger's clock would stand still.
        rig.ledger.wake_due("leader", lead_ms=1)
    history = History(found)
    for event in [*events, "4 cells", "3 cells"]:
        history.happen(event)
