"""The console over all cells: stores, pauses, approvals, the overview, live updates."""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Iterator

import pytest

from statemachine.flows import State
from tests.support.cells import Cells
from tests.support.console import (
    ACT,
    APPROVE,
    USERS,
    VIEW,
    Browser,
    ConsoleProgram,
    cookie,
    marks,
)
from tests.support.console_cells import (
    REASON,
    cells_scene,
    console_of,
    dead_in,
    store_in,
    waiting,
)
from tests.support.rig import KEY, STORE_ID
from worker.cells.names import FRONT

Scene = tuple[Cells, ConsoleProgram]


@pytest.fixture(scope="module")
def scene(redis_url: str) -> Iterator[Scene]:
    """The cells and a console, shared by the tests of this file."""
    with cells_scene(redis_url) as made:
        yield made


@pytest.fixture
def cells(scene: Scene) -> Cells:
    """The cells."""
    return scene[0]


@pytest.fixture
def browser(scene: Scene) -> Iterator[Browser]:
    """A browser of somebody who may act."""
    with scene[1].browser(ACT) as signed_in:
        yield signed_in


def test_a_store_is_paused_where_it_lives(cells: Cells, browser: Browser) -> None:
    """The directory knows its cell; no address names it."""
    [refund_id] = waiting(cells, "0")
    store_id = cells.load(refund_id).request.store_id
    assert store_id in browser.text("/stores")
    assert STORE_ID in browser.text("/stores")
    browser.get(f"/store?id={store_id}")
    fields = {"id": store_id, "act": "pause", **REASON}
    assert f"{store_id}: paused" in browser.act("/store/act", fields)
    where = [c for c, rig in cells.rigs.items() if rig.redis.hexists(rig.key("paused"), store_id)]
    assert where == ["0"]
    assert f"{store_id}: resumed" in browser.act("/store/act", {"id": store_id, "act": "resume"})
    assert browser.get(f"/store?id={uuid.uuid4()}").status_code == 404


def test_a_store_that_has_no_cell_yet_is_paused_where_its_jobs_will_be(
    cells: Cells, browser: Browser
) -> None:
    """Its key is in the settings; it gets a cell before its first job."""
    browser.get("/stores")
    fields = {"id": STORE_ID, "act": "pause", **REASON}
    assert f"{STORE_ID}: paused" in browser.act("/store/act", fields)
    home = cells.directory.known(STORE_ID)
    refund_id = cells.request(STORE_ID)
    cells.run()
    assert cells.where(refund_id) == [home]
    assert cells.load(refund_id).state is State.ACCEPTED
    assert f"{STORE_ID}: resumed" in browser.act("/store/act", {"id": STORE_ID, "act": "resume"})


def test_a_pause_of_all_stores_reaches_every_cell(cells: Cells, browser: Browser) -> None:
    """Also one that was paused before keeps nothing back; a cell that fails is named."""
    broken = cells.rigs["1"]
    broken.redis.set(broken.key("paused"), "no hash")
    browser.get("/stores")
    page = browser.act("/store/act", {"act": "pause_all", **REASON})
    paused = [cell for cell in (FRONT, "0", "2") if cells.rigs[cell].acts.pauses()]
    assert paused == [FRONT, "0", "2"]
    assert "Cell 2: All stores: paused" in page
    assert "Cell 1: Redis" in page
    broken.redis.delete(broken.key("paused"))
    page = browser.text("/stores")
    assert "All stores of the cell 2 are paused by ann: a test" in page
    assert ("Resume all stores" in page, "Pause all stores" in page) == (True, True)
    page = browser.act("/store/act", {"act": "resume_all"})
    assert "Cell 1: Refused: All stores: neither suspended nor paused" in page
    assert not any(rig.acts.pauses() for rig in cells.rigs.values())


def test_approvals_of_all_cells_are_listed_and_given(redis_url: str) -> None:
    """In one list; each is given in its cell, and nobody approves their own."""
    homes = {cell: store_in(cell) for cell in ("0", "1")}
    given = {one: {"account_id": "a", "api_key": KEY} for one in homes.values()}
    cells = Cells(redis_url, more={"stores": json.dumps(given), "guard_refund": "50 USD"})
    users = json.dumps(USERS | {"pat": USERS["pat"] | {"login": "psmith"}})
    with (
        console_of(cells, REFUNDS_CONSOLE_TOKENS=users) as program,
        program.browser(APPROVE) as pat,
    ):
        first, second = (cells.request(one, requested_by="bo") for one in homes.values())
        own = cells.request(homes["1"], requested_by="P.Smith")
        cells.run()
        page = pat.get("/approvals").text
        assert page.index(first) < page.index(second)
        assert f'name="id.1" value="{second}"' in page
        form = {"act": "approve", "id.0": first, **REASON}
        assert pat.post("/choose", form | {"id.1": [second, own]}).status_code == 403
        assert "confirm each of them" in pat.act("/choose", form | {"id.1": second})
        one = {"act": "approve", "id": second, "cell": "1", **REASON}
        assert f"{second}: approved: it goes on" in pat.act("/refund/act", one)
        assert pat.post("/refund/act", one | {"id": own}).status_code == 403
        cells.run()
        assert cells.load(second).state is State.REFUNDED
    cells.close()


def test_the_overview_adds_up_and_shows_each_cell(cells: Cells, browser: Browser) -> None:
    """A need of one cell is a need of all."""
    dead_in(cells, "1")
    for rig in cells.rigs.values():
        rig.broker.beat()
    page = browser.text("/")
    counts = {
        cell: rig.redis.zcard(rig.key("state", State.DEAD)) for cell, rig in cells.rigs.items()
    }
    assert f"Cell 1: Refunds that are dead letters: {counts['1']}." in page
    assert "Each cell" in page
    assert f"{sum(counts.values())} refunds" in page
    rows = re.findall(r'data-label="Cell">(\w+)</td>', browser.get("/").text)
    assert rows == [FRONT, "0", "1", "2"]


def test_the_audit_log_joins_those_of_all_cells(cells: Cells, browser: Browser) -> None:
    """The newest first; each chain is checked by itself."""
    ids = waiting(cells, "2", "0")
    for refund_id in ids:
        [cell] = cells.where(refund_id)
        browser.get("/")
        fields = {"id": refund_id, "cell": cell, "act": "hold", **REASON}
        browser.act("/refund/act", fields)
    page = browser.text("/audit-log?verify=yes")
    assert page.index(ids[1]) < page.index(ids[0])
    for cell in (FRONT, "0", "1", "2"):
        assert re.search(rf"Cell {cell}: \d+ entries, unbroken", page)


def test_a_change_in_any_cell_is_told(scene: Scene) -> None:
    """The stream of live updates follows all of them."""
    cells, program = scene
    with (
        program.browser(VIEW) as browser,
        browser.client.stream("GET", "/live", headers=cookie(browser)) as answer,
    ):
        told = marks(answer)
        first = next(told)
        waiting(cells, "2")
        assert any(mark != first for mark in told)
