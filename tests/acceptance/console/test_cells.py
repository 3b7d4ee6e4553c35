"""The console over all cells: refunds and dead letters are listed, found, and acted on."""

from __future__ import annotations

import re
import uuid
from collections.abc import Iterator

import pytest

from statemachine.flows import State
from tests.support.bulk import turn
from tests.support.cells import Cells
from tests.support.console import (
    ACT,
    VIEW,
    Browser,
    ConsoleProgram,
    text_of,
)
from tests.support.console_cells import (
    REASON,
    cells_scene,
    dead_in,
    store_in,
    waiting,
)
from tests.support.rig import AFTER, KEY
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


def test_a_list_shows_the_refunds_of_all_cells(cells: Cells, browser: Browser) -> None:
    """In one order, each with its cell, which the link to it names."""
    first, second = waiting(cells, "0", "1")
    page = browser.get("/refunds").text
    assert page.index(second) < page.index(first)
    assert f'href="/refund?id={first}&amp;cell=0"' in page
    assert f'href="/refund?id={second}&amp;cell=1"' in page
    assert f"{first} accepted" in browser.text(f"/refunds?refund={first}")
    assert "1 of 1 refunds" in browser.text(f"/refunds?refund={first}")


def test_a_refund_is_found_without_its_cell(cells: Cells, browser: Browser) -> None:
    """By its id in the search or in an address, by its order, in the queue of the front."""
    [refund_id] = waiting(cells, "1")
    found = browser.get("/refunds", params={"q": refund_id})
    assert found.headers["location"] == f"/refund?id={refund_id}&cell=1"
    assert refund_id in browser.text(f"/refund?id={refund_id}")
    assert refund_id in browser.text(f"/refunds?q={cells.load(refund_id).request.order_id}")
    queued = cells.request(store_in("2"))
    assert "no worker has accepted it yet" in browser.text(f"/refund?id={queued}")
    assert "In the queue, not accepted yet" in browser.text(f"/refunds?q={queued}")
    cells.run()
    for address in ("/refund?id=rf-none", "/job?id=job-none", f"/refund?id={refund_id}&cell=9"):
        assert browser.get(address).status_code == 404


def test_a_refund_is_acted_on_in_its_cell(cells: Cells, browser: Browser) -> None:
    """The form of its page names the cell."""
    [refund_id] = waiting(cells, "1")
    page = browser.get(f"/refund?id={refund_id}").text
    assert '<input type="hidden" name="cell" value="1">' in page
    fields = {"id": refund_id, "cell": "1", "act": "hold", **REASON}
    assert f"{refund_id}: on hold" in browser.act("/refund/act", fields)
    assert cells.load(refund_id).hold["why"] == "a test"
    elsewhere = {"id": refund_id, "cell": "0", "act": "hold", **REASON}
    assert browser.post("/refund/act", elsewhere).status_code == 303
    assert cells.where(refund_id) == ["1"]


@pytest.mark.parametrize("cell", ["9", "../0", "0:x", "{refunds}", "<script>alert(1)</script>"])
def test_a_cell_that_there_is_not_is_refused(
    cells: Cells, browser: Browser, scene: Scene, cell: str
) -> None:
    """In an address and in a form, for each right; what was sent is not repeated."""
    [refund_id] = waiting(cells, "0")
    fields = {"id": refund_id, "cell": cell, "act": "hold", "step": "start", **REASON}
    answers = [browser.get(path, params=fields) for path in ("/refund", "/job")]
    answers += [browser.post(path, fields) for path in ("/refund/act", "/job/step", "/choose")]
    assert [answer.status_code for answer in answers] == [404] * 5
    assert not any(cell in answer.text for answer in answers if len(cell) > 1)
    with scene[1].browser(VIEW) as viewer:
        for known in ("0", "1", cell):
            assert viewer.post("/refund/act", {**fields, "cell": known}).status_code == 403
    assert not cells.load(refund_id).hold


def test_a_refund_that_two_cells_have_is_not_mixed_up(cells: Cells, browser: Browser) -> None:
    """The search lists both; an address without a cell is refused."""
    [refund_id] = waiting(cells, "0")
    store_id = store_in("2")
    cells.directory.settle(store_id)
    cells.simulator.add_store(store_id, KEY)
    order = cells.simulator.add_order(store_id, created_date=AFTER)
    cells.rigs["2"].request(order, refund_id, store_id=store_id)
    cells.run()
    assert cells.where(refund_id) == ["0", "2"]
    page = browser.get("/refunds", params={"q": refund_id}).text
    assert "2 of 2 refunds" in page
    assert page.count(f"/refund?id={refund_id}&amp;cell=") == 2
    refused = browser.get(f"/refund?id={refund_id}")
    assert (refused.status_code, "in the cells 0 and 2" in refused.text) == (409, True)
    fields = {"id": refund_id, "cell": "2", "act": "hold", **REASON}
    assert f"{refund_id}: on hold" in browser.act("/refund/act", fields)
    held = {cell: bool(cells.rigs[cell].load(refund_id).hold) for cell in ("0", "2")}
    assert held == {"0": False, "2": True}


def test_dead_letters_of_all_cells_are_grouped_and_replayed(cells: Cells, browser: Browser) -> None:
    """A bulk act in each cell, each confirmed by itself; they share the rate."""
    first, second = dead_in(cells, "0", "1")
    cells.front.send_raw("no message", "m-of-the-front")
    cells.front.run_queued()
    page = browser.get("/dead").text
    assert f'name="id.0" value="{first}"' in page
    assert f'name="id.1" value="{second}"' in page
    assert 'name="id.front" value="m-of-the-front"' in page
    count = sum(rig.redis.zcard(rig.key("state", State.DEAD)) for rig in cells.rigs.values())
    assert f"store_unknown {count}" in browser.text("/dead?by=reason")
    chosen = {"id.0": first, "id.1": second, "act": "dead.replay", "rate": "5", **REASON}
    assert "confirm each of them" in browser.act("/choose", chosen)
    links = re.findall(r'href="(/job\?id=(job-\w+)&amp;cell=(\d))"', browser.get("/jobs").text)[:2]
    assert {cell for _, _, cell in links} == {"0", "1"}
    for address, job_id, cell in links:
        assert "items per second 2.5" in browser.text(address.replace("&amp;", "&"))
        fields = {"id": job_id, "cell": cell, "step": "start"}
        assert f"{job_id} is running" in browser.act("/job/step", fields)
        turn(cells.rigs[cell])
    assert State.DEAD not in {cells.load(each).state for each in (first, second)}
    discarded = {"id": "m-of-the-front", "cell": FRONT, "act": "dead.discard", **REASON}
    browser.post("/refund/act", discarded)
    assert "m-of-the-front: discarded" in browser.text("/dead")


def test_all_that_match_are_chosen_in_the_cells_that_have_some(
    cells: Cells, browser: Browser
) -> None:
    """One cell has: its bulk act is shown at once."""
    [dead] = dead_in(cells, "2")
    store_id = cells.load(dead).request.store_id
    chosen = {"every": "yes", "store": store_id, "act": "dead.replay", "rate": "5", **REASON}
    page = browser.act("/choose", chosen)
    assert "Start: dead.replay of 1" in page
    assert "items per second 5" in page
    nothing = {**chosen, "store": str(uuid.uuid4())}
    assert browser.post("/choose", nothing).status_code == 400
    assert browser.post("/choose", {"act": "dead.replay", **REASON}).status_code == 400


def test_a_dry_run_asks_about_the_letters_of_all_cells(cells: Cells, browser: Browser) -> None:
    """With one summary."""
    first, second = dead_in(cells, "0", "1")
    answer = browser.post("/choose", {"id.0": first, "id.1": second, "act": "dry_run"})
    assert f"/refund?id={second}&amp;cell=1" in answer.text
    assert text_of(answer).count("1 cannot be told: store") == 2
    of_one = browser.post("/choose", {"id": second, "cell": "1", "act": "dry_run"})
    assert "1 cannot be told" in text_of(of_one)
