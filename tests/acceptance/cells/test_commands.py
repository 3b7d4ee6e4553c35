"""The commands find things in their cells, and add up or list what is in all of them."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator
from typing import Any

import pytest

from statemachine.flows import State
from tests.support.cells import Cells, new_stores
from tests.support.commands import refunds, settings_of
from tests.support.console import USERS, VIEW, ConsoleProgram
from tests.support.http_program import http_program
from tests.support.rig import AFTER, KEY, STORE_ID
from worker.cells.choosing import choose


@pytest.fixture
def cells(redis_url: str) -> Iterator[Cells]:
    """Three cells with a refund each of a store without a key; they wait."""
    found = Cells(redis_url)
    for number in range(3):
        store_id = next(one for one in new_stores(60) if choose(one, 3) == str(number))
        found.request(store_id, f"rf-{number}")
        found.run()
    yield found
    found.close()


def _json(cells: Cells, *arguments: str, code: int = 0) -> Any:
    run = refunds(cells.front, *arguments, "--json", environment=settings_of(cells.front))
    assert run.returncode == code, run.stderr + run.stdout
    return json.loads(run.stdout)


def test_a_refund_is_shown_wherever_it_is(cells: Cells) -> None:
    """One needs to know only its id, or that of its order."""
    for number in range(3):
        told = _json(cells, "show", f"rf-{number}")
        assert told["refund_id"] == f"rf-{number}"
        assert _json(cells, "show", "--order", told["order_id"])["refund_id"] == f"rf-{number}"
    missing = refunds(cells.front, "show", "rf-9")
    assert missing.returncode == 1
    assert "there is no refund rf-9" in missing.stderr


def test_a_refund_that_two_cells_have_is_not_mixed_up(cells: Cells) -> None:
    """A producer has used an id twice at the same moment, for stores in different cells."""
    store_id = next(one for one in new_stores(60) if choose(one, 3) == "2")
    cells.directory.settle(store_id)
    cells.simulator.add_store(store_id, KEY)
    order = cells.simulator.add_order(store_id, created_date=AFTER)
    cells.rigs["2"].request(order, "rf-0", store_id=store_id)
    cells.run()
    assert cells.where("rf-0") == ["0", "2"]
    run = refunds(cells.front, "hold", "rf-0", "--reason", "which one?")
    assert run.returncode == 2
    assert "in the cells 0 and 2" in run.stderr
    assert refunds(cells.front, "--cell", "2", "show", "rf-0").returncode == 0


def test_a_list_is_in_order_over_all_cells_page_by_page(cells: Cells) -> None:
    """With the cursor of a page one gets the next, as with one ledger."""
    whole = _json(cells, "list")
    assert [row["refund_id"] for row in whole["refunds"]] == ["rf-2", "rf-1", "rf-0"]
    assert [row["cell"] for row in whole["refunds"]] == ["2", "1", "0"]
    assert (whole["total"], whole["after"]) == (3, None)
    first = _json(cells, "list", "--limit", "2")
    assert [row["refund_id"] for row in first["refunds"]] == ["rf-2", "rf-1"]
    second = _json(cells, "list", "--limit", "2", "--after", first["after"])
    assert [row["refund_id"] for row in second["refunds"]] == ["rf-0"]
    assert second["after"] is None
    by_store = _json(cells, "list", "--sort", "store")["refunds"]
    assert [row["store_id"] for row in by_store] == sorted(row["store_id"] for row in by_store)
    rest = _json(cells, "list", "--sort", "store", "--after", _cursor(cells, by_store[0]))
    assert [row["refund_id"] for row in rest["refunds"]] == [r["refund_id"] for r in by_store[1:]]
    oldest = _json(cells, "--cell", "1", "list")["refunds"]
    assert [row["refund_id"] for row in oldest] == ["rf-1"]


def _cursor(cells: Cells, row: dict[str, Any]) -> str:
    page = _json(cells, "list", "--sort", "store", "--limit", "1")
    assert page["after"].endswith(row["refund_id"])
    return str(page["after"])


def test_an_act_on_several_reaches_each_in_its_cell(cells: Cells) -> None:
    """And a selection is carried out in every cell that has some of it."""
    held = _json(cells, "hold", "rf-0", "rf-2", "--reason", "the buyer called")
    assert held["ok"]
    assert [cells.load(f"rf-{n}").hold != {} for n in range(3)] == [True, False, True]
    released = _json(cells, "release", "--all", "--yes")
    assert released["ok"]
    assert set(released["cells"]) == {"0", "2"}
    for number in range(3):
        cells.rigs[str(number)].app.jobs.turn(lambda: False)
    assert [cells.load(f"rf-{n}").hold for n in range(3)] == [{}, {}, {}]


def test_dead_letters_of_all_cells_are_listed_counted_and_replayed(cells: Cells) -> None:
    """What needs a person is in one list, with the totals of all."""
    for number in range(3):
        cells.rigs[str(number)].stores.bury(
            cells.load(f"rf-{number}"), reason={"reason": "store_unknown"}, line={"by": "test"}
        )
    cells.front.send_raw("no message")
    cells.front.run_queued()
    told = _json(cells, "dead", "list")
    assert [row["id"] for row in told["dead"]] == ["rf-2", "rf-1", "rf-0", "m-1"]
    assert (told["total"], told["messages"]) == (3, 1)
    [group] = _json(cells, "dead", "list", "--by", "reason")["groups"]
    assert (group["reason"], group["count"], group["example"]) == ("store_unknown", 3, "rf-2")
    assert _json(cells, "dead", "show", "rf-1")["refund_id"] == "rf-1"
    replayed = _json(cells, "dead", "replay", "rf-0", "rf-1", "--reason", "connected", code=0)
    assert replayed["ok"]
    assert cells.load("rf-1").state is not State.DEAD
    assert cells.load("rf-2").state is State.DEAD


def test_a_canary_is_not_done_in_each_cell(cells: Cells) -> None:
    """Whoever asks for one first gets no more, and is told what is left."""
    arguments = ("hold", "--all", "--canary", "1", "--yes", "--reason", "a test")
    run = refunds(cells.front, *arguments)
    assert run.returncode == 0, run.stderr
    assert "nothing was begun in the cells 1, 2" in run.stderr
    [job] = _json(cells, "jobs", "list")["jobs"]
    assert (job["cell"], job["total"], job["canary"]) == ("0", 1, 1)


def test_all_cells_share_the_rate_of_a_bulk_act(cells: Cells) -> None:
    """The front and three cells."""
    _json(cells, "hold", "--all", "--rate", "2", "--yes", "--reason", "a test")
    found = _json(cells, "jobs", "list")["jobs"]
    assert [(job["cell"], job["rate"]) for job in found] == [("0", 0.5), ("1", 0.5), ("2", 0.5)]


def test_the_status_adds_up_and_shows_each_cell(cells: Cells) -> None:
    """A need of one cell is a need of all."""
    told = _json(cells, "status", code=1)
    assert told["refunds"]["unfinished"] == 3
    assert told["today"]["accepted"] == 3
    assert set(told["cells"]) == {"front", "0", "1", "2"}
    assert told["cells"]["1"]["refunds"]["unfinished"] == 1
    assert all(need["text"].startswith("Cell ") for need in told["needs"])
    text = refunds(cells.front, "status").stdout
    assert "3 unfinished" in text
    assert "in flight" in text


def test_the_audit_looks_at_each_cell(cells: Cells) -> None:
    """A lost refund of any cell is found, and repaired there."""
    told = _json(cells, "audit")
    assert (told["ok"], {c: one["refunds"] for c, one in told["cells"].items()}) == (
        True,
        {"front": 0, "0": 1, "1": 1, "2": 1},
    )
    rig = cells.rigs["1"]
    rig.redis.delete(rig.key("lane", cells.load("rf-1").request.store_id))
    [problem] = _json(cells, "audit", code=1)["problems"]
    assert (problem["refund_id"], problem["cell"]) == ("rf-1", "1")
    assert "Cell 1:" in refunds(cells.front, "audit", "--repair").stdout
    assert _json(cells, "audit")["ok"]


def test_a_pause_of_everything_reaches_every_cell(cells: Cells) -> None:
    """And a store is paused in its own cell."""
    assert _json(cells, "pause", "--all", "--reason", "incident 17")["ok"]
    assert all(rig.redis.hexists(rig.key("paused"), "*") for rig in cells.rigs.values())
    assert _json(cells, "resume", "--all")["ok"]
    store_id = cells.load("rf-1").request.store_id
    assert _json(cells, "stores", "pause", store_id, "--reason", "fraud?")["ok"]
    paused = {c: r.redis.hlen(r.key("paused")) for c, r in cells.rigs.items()}
    assert paused == {"front": 0, "0": 0, "1": 1, "2": 0}


@pytest.mark.parametrize(
    ("command", "key"), [(("pause", "--reason", "fraud?"), "paused"), (("observe",), "observing")]
)
def test_what_is_said_of_a_store_before_its_first_job_holds_in_its_cell(
    cells: Cells, command: tuple[str, ...], key: str
) -> None:
    """Its key is in the settings, so it has no cell yet; its jobs find what was said."""
    name, *options = command
    given = {"REFUNDS_STORES": json.dumps({STORE_ID: {"account_id": "a", "api_key": KEY}})}
    environment = settings_of(cells.front) | given
    run = refunds(None, "stores", name, STORE_ID, *options, environment=environment)
    assert run.returncode == 0, run.stderr
    refund_id = cells.request(STORE_ID)
    cells.run()
    [cell] = cells.where(refund_id)
    assert [c for c, one in cells.rigs.items() if one.redis.exists(one.key(key))] == [cell]
    assert cell == choose(STORE_ID, 3)
    unknown = refunds(None, "stores", name, str(uuid.uuid4()), *options, environment=environment)
    assert unknown.returncode == 1
    assert cells.front.redis.hlen(cells.front.key("homes")) == 4


def test_a_cell_that_fails_does_not_keep_the_others_from_being_paused(cells: Cells) -> None:
    """In an incident as many as possible stop, and the person is told which do not."""
    broken = cells.rigs["1"]
    broken.redis.set(broken.key("paused"), "no hash")
    run = refunds(cells.front, "pause", "--all", "--reason", "incident 17")
    assert run.returncode == 1
    assert "cell 1: Redis" in run.stderr
    paused = [cell for cell in ("front", "0", "2") if cells.rigs[cell].acts.pauses()]
    assert paused == ["front", "0", "2"]
    again = _json(cells, "pause", "--all", "--reason", "incident 17", code=1)
    assert not again["ok"]
    assert "error" in again["cells"]["1"]


def test_each_store_is_listed_once(cells: Cells) -> None:
    """Also one whose key is in the settings of all cells."""
    environment = settings_of(cells.front) | {
        "REFUNDS_STORES": json.dumps({STORE_ID: {"account_id": "a", "api_key": "IST.a.b.c"}})
    }
    run = refunds(None, "stores", "list", "--json", environment=environment)
    listed = [row["store_id"] for row in json.loads(run.stdout)["stores"]]
    stores = [cells.load(f"rf-{n}").request.store_id for n in range(3)]
    assert sorted(listed) == sorted([STORE_ID, *stores])


def test_the_audit_log_of_each_cell_is_verified(cells: Cells) -> None:
    """Each has a chain of its own."""
    _json(cells, "hold", "rf-1", "--reason", "a test", "--by", "ann")
    told = _json(cells, "audit-log")
    [entry] = [one for one in told["entries"] if one["act"] == "hold"]
    assert (entry["subject"], entry["cell"]) == ("rf-1", "1")
    assert _json(cells, "audit-log", "--verify")["ok"]


def test_the_doctor_examines_each_cell(cells: Cells) -> None:
    """With one document for all."""
    run = refunds(cells.front, "doctor", "--json")
    told = json.loads(run.stdout)
    found = {row["cell"] for row in told["findings"] if row["check"] == "installation"}
    assert found == {"front", "0", "1", "2"}


def test_the_doctor_names_a_store_that_is_in_the_wrong_cell(cells: Cells) -> None:
    """And it tells the share that each cell has of the limits for all stores."""
    more = settings_of(cells.front) | {"REFUNDS_GUARD_ALL_HOUR": "1000 refunds"}
    run = refunds(None, "doctor", "--json", environment=more)
    told = [one for one in json.loads(run.stdout)["findings"] if one["check"] == "cells"]
    assert {one["verdict"] for one in told} == {"ok"}
    assert "its share of the limits for all stores is 250 refunds" in told[0]["text"]
    store_id = cells.load("rf-1").request.store_id
    cells.front.redis.hset(cells.front.key("homes"), store_id, "2")
    run = refunds(None, "doctor", "--json", environment=more)
    told = [one for one in json.loads(run.stdout)["findings"] if one["check"] == "cells"]
    [failed] = [one for one in told if one["verdict"] == "failed"]
    assert (run.returncode, failed["cell"]) == (1, "1")
    assert f"cell 1 has store {store_id}, which is in cell 2" in failed["text"]


def test_the_doctor_warns_of_a_limit_below_the_number_of_cells(cells: Cells) -> None:
    """Each ledger lets at least one refund pass: together more than the limit says."""
    more = settings_of(cells.front) | {
        "REFUNDS_GUARD_ALL_HOUR": "3 refunds",
        "REFUNDS_GUARD_ALL_DAY": "4 refunds, 100 USD",
    }
    run = refunds(None, "doctor", "--json", environment=more)
    told = [one for one in json.loads(run.stdout)["findings"] if one["check"] == "cells"]
    [found] = [one for one in told if one["verdict"] == "warning"]
    assert found["cell"] == "front"
    assert "REFUNDS_GUARD_ALL_HOUR allows 3 refunds" in found["text"]
    assert "together up to 4 refunds" in found["text"]
    assert found["what_to_do"]


def test_a_cell_that_does_not_exist_is_refused(cells: Cells) -> None:
    """With the names of those that there are."""
    run = refunds(cells.front, "--cell", "7", "list")
    assert run.returncode == 2
    assert "there are front, 0, 1, 2" in run.stderr


def test_each_page_of_the_console_says_which_cell_it_shows(cells: Cells, redis_url: str) -> None:
    """That nothing needs a person is true of this one only."""
    settings = {"REFUNDS_CONSOLE_TOKENS": json.dumps(USERS)}
    front, command = cells.settings.namespace, ("--cell", "1", "console")
    with (
        http_program(redis_url, front, *command, settings=settings) as program,
        ConsoleProgram(*program).browser(VIEW) as browser,
    ):
        pages = [browser.send("GET", path).text for path in ("/", "/dead")]
    assert ["Refunds, cell 1 only" in page for page in pages] == [True, True]
