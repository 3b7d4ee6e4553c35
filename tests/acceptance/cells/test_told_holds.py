"""`refunds status` and `refunds doctor` name the cells that change nothing at Wix, and say why."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.support.cells import Cells, new_stores
from tests.support.commands import refunds
from tests.support.failovers import fail_over
from tests.support.rig import STORE_ID
from worker.cells.choosing import choose
from worker.cells.names import FRONT
from worker.cells.placing import Home

#: What the directory says of a store that moves in after a loss.
_HOLD_MS = 200_000


@pytest.fixture
def cells(redis_url: str) -> Iterator[Cells]:
    """Three cells; a worker of one is to vouch, and a store brought a doubt into another one."""
    found = Cells(redis_url)
    found.directory.home(new_stores(1)[0])
    found.vouch()
    home = Home(choose(STORE_ID, 3), _HOLD_MS)
    placing = found.directory._placing
    assert placing.move_in(home, STORE_ID, placing.announce(home.cell, STORE_ID))
    fail_over(found.rigs[_failed_over()])
    yield found
    found.close()


def _failed_over() -> str:
    """Return another cell than the store's."""
    return str((int(choose(STORE_ID, 3)) + 1) % 3)


def _findings(cells: Cells) -> dict[str, dict[str, Any]]:
    found = json.loads(refunds(cells.front, "doctor", "--json").stdout)["findings"]
    return {one["cell"]: one for one in found if one["check"] == "settling"}


def test_the_status_names_each_cell_that_is_held_back(cells: Cells) -> None:
    """A sum of all could not say for which one a worker has to vouch."""
    shown = " ".join(refunds(cells.front, "status").stdout.split())
    moved, failed_over = choose(STORE_ID, 3), _failed_over()
    worker_id = cells.rigs[failed_over].broker.broker_id
    assert f"cell {moved}: " in shown
    assert "or a store moved in after the front had lost writes: nothing is changed" in shown
    assert f"cell {failed_over}: Redis was replaced: nothing is changed at Wix until" in shown
    assert f"until {worker_id} named the calls" in shown
    alone = " ".join(refunds(cells.front, "--cell", moved, "status").stdout.split())
    assert "or a store moved in after the front had lost writes: nothing is changed" in alone
    quiet = {FRONT, "0", "1", "2"} - {moved, failed_over}
    assert not any(f"cell {cell}: " in shown for cell in quiet)


def test_the_doctor_says_it_of_each_cell_that_is_held_back(cells: Cells) -> None:
    """It is no fault, and ends by itself."""
    found = _findings(cells)
    assert set(found) == {choose(STORE_ID, 3), _failed_over()}
    assert {one["verdict"] for one in found.values()} == {"note"}
    assert "a store moved in" in found[choose(STORE_ID, 3)]["text"]
    assert cells.rigs[_failed_over()].broker.broker_id in found[_failed_over()]["text"]
    cells.rigs[_failed_over()].broker.beat()
    assert set(_findings(cells)) == {choose(STORE_ID, 3)}
