"""Acts on many in the console: frozen, confirmed, done by the workers, shown item by item."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest

from statemachine.flows import State
from tests.support.bulk import dead_letters, job_of, turn
from tests.support.console import (
    ACT,
    APPROVE,
    VIEW,
    Browser,
    ConsoleProgram,
    console_scene,
    text_of,
)
from tests.support.rig import Rig

Scene = tuple[Rig, ConsoleProgram]


@pytest.fixture(scope="module")
def scene(redis_url: str) -> Iterator[Scene]:
    """A worker with a console; shared by the tests of this file."""
    with console_scene(redis_url, bulk_confirm="2") as made:
        yield made


@pytest.fixture
def browser(scene: Scene) -> Iterator[Browser]:
    """A browser of somebody who may act."""
    with scene[1].browser(ACT) as signed_in:
        yield signed_in


def chosen(browser: Browser, **form: object) -> str:
    """Choose some; returns the id of the bulk act, which waits for a confirmation."""
    browser.get("/dead")
    answer = browser.post("/choose", {"why": "the key is back", **form})
    assert answer.status_code == 303, text_of(answer)
    job_id = str(answer.headers["location"]).removeprefix("/job?id=")
    assert "not started" in browser.text(f"/job?id={job_id}")
    return job_id


def test_what_is_selected_is_confirmed_and_done_by_the_workers(
    scene: Scene, browser: Browser
) -> None:
    """With progress and a result for each; every entry of the audit log names who it was."""
    rig, _ = scene
    ids = dead_letters(rig, 2)
    job_id = chosen(browser, act="dead.replay", id=ids)
    page = browser.text(f"/job?id={job_id}")
    assert "At stake when it was selected: 202.80 USD" in page
    turn(rig)
    assert {rig.load(each).state for each in ids} == {State.DEAD}
    assert "is running" in browser.act("/job/step", {"id": job_id, "step": "start"})
    turn(rig)
    rig.run_until_idle()
    page = browser.get(f"/job?id={job_id}").text
    assert "dead.replay of 2: done" in page
    assert re.search(r'<progress id="bar" max="2" value="2">', page)
    assert text_of(browser.get(f"/job?id={job_id}")).count("done refunded 101.40 USD") == 2
    assert job_id in browser.text("/jobs")
    entries = [entry.fields() for entry in rig.ledger.audit_log.entries()]
    ours = [entry for entry in entries if job_id in {entry["job"], entry["subject"]}]
    assert [entry["act"] for entry in ours] == ["jobs.start", "dead.replay", "dead.replay"]
    assert {(entry["by"], entry["why"]) for entry in ours} == {("ann", "the key is back")}


def test_all_that_match_are_chosen(scene: Scene, browser: Browser) -> None:
    """By the filters of the page; more than a few need their number to be typed."""
    rig, _ = scene
    dead_letters(rig, 3)
    form = {"every": "yes", "reason_code": "refused_by_wix", "act": "dead.discard", "canary": "1"}
    job_id = chosen(browser, **form)
    total = job_of(rig, job_id).total
    assert total >= 3
    for typed in ({}, {"confirm": str(total + 1)}):
        answer = browser.post("/job/step", {"id": job_id, "step": "start", **typed})
        assert (answer.status_code, f"Type {total}" in answer.text) == (400, True)
    start = {"id": job_id, "step": "start", "confirm": str(total)}
    assert "is running" in browser.act("/job/step", start)
    turn(rig)
    assert (job_of(rig, job_id).state, job_of(rig, job_id).done) == ("waiting", 1)
    assert "is stopped" in browser.act("/job/step", {"id": job_id, "step": "stop"})
    assert "is running" in browser.act("/job/step", {"id": job_id, "step": "continue"})
    turn(rig)
    assert job_of(rig, job_id).state == "done"
    assert "Refused" in browser.act("/job/step", {"id": job_id, "step": "stop"})


def test_a_refused_item_says_why(scene: Scene, browser: Browser) -> None:
    """The others are done."""
    rig, _ = scene
    [letter] = dead_letters(rig, 1)
    job_id = chosen(browser, act="dead.resolve", id=[letter, "rf-none"])
    browser.act("/job/step", {"id": job_id, "step": "start"})
    turn(rig)
    page = browser.text(f"/job?id={job_id}")
    assert "1 done, 1 refused, 0 left" in page
    assert "rf-none refused there is no such dead letter" in " ".join(page.split())
    assert rig.load(letter).state is State.RESOLVED


def test_a_selection_that_is_not_started_is_forgotten(scene: Scene, browser: Browser) -> None:
    """Nothing is done."""
    rig, _ = scene
    [letter] = dead_letters(rig, 1)
    job_id = chosen(browser, act="dead.discard", id=letter)
    assert "is forgotten" in browser.act("/job/step", {"id": job_id, "step": "forget"})
    assert browser.get(f"/job?id={job_id}").status_code == 404
    assert rig.load(letter).state is State.DEAD


def test_only_who_has_chosen_it_starts_it(scene: Scene, browser: Browser) -> None:
    """The acts are in that person's name; others may stop it."""
    rig, program = scene
    [letter] = dead_letters(rig, 1)
    job_id = chosen(browser, act="dead.discard", id=letter)
    with program.browser(APPROVE) as other, program.browser(VIEW) as viewer:
        assert "Only ann can start it" in other.text(f"/job?id={job_id}")
        for step in ("start", "forget"):
            assert other.post("/job/step", {"id": job_id, "step": step}).status_code == 403
        browser.act("/job/step", {"id": job_id, "step": "start"})
        assert viewer.post("/job/step", {"id": job_id, "step": "stop"}).status_code == 403
        assert "is stopped" in other.act("/job/step", {"id": job_id, "step": "stop"})
        assert other.post("/job/step", {"id": job_id, "step": "drop"}).status_code == 400
        assert other.post("/job/step", {"id": "job-x", "step": "stop"}).status_code == 404
        assert other.post("/job/step", {"id": job_id, "step": "forget"}).status_code == 403
    assert browser.post("/job/step", {"id": job_id, "step": "forget"}).status_code == 409


@pytest.mark.parametrize("part", [":items", ":todo"])
def test_no_id_leads_to_another_key_of_the_ledger(
    scene: Scene, browser: Browser, part: str
) -> None:
    """There is no such bulk act, and no error of the program."""
    job_id = chosen(browser, act="dead.discard", id=dead_letters(scene[0], 1))
    assert browser.get(f"/job?id={job_id}{part}").status_code == 404
    form = {"id": f"{job_id}{part}", "step": "start"}
    assert browser.post("/job/step", form).status_code == 404


@pytest.mark.parametrize(
    ("form", "text"),
    [
        ({"act": "dead.replay"}, "Select at least one"),
        ({"act": "dead.replay", "id": "rf-1", "why": ""}, "Say why"),
        ({"act": "dead.replay", "id": "rf-1", "rate": "0"}, "takes a number"),
        ({"act": "dead.replay", "id": "rf-1", "rate": "nan"}, "takes a number"),
        ({"act": "dead.replay", "id": "rf-1", "canary": "-1"}, "takes a whole number from 0"),
        ({"act": "dead.replay", "id": "rf-1", "canary": "0.4"}, "takes a whole number from 0"),
        ({"act": "dead.replay", "id": "rf-1", "canary": "1e3"}, "takes a whole number from 0"),
        ({"act": "dead.replay", "id": "rf-1", "canary": "1000001"}, "takes a whole number from 0"),
        ({"act": "dead.replay", "id": "rf-1", "rate": "0.001"}, "takes a number from 0.01"),
        ({"act": "dead.replay", "every": "yes", "store": "x"}, "takes a site ID"),
        ({"act": "dead.replay", "every": "yes", "refund": "rf-none"}, "Nothing matches"),
        ({"act": "drop", "id": "rf-1"}, "no such act"),
    ],
)
def test_a_selection_that_is_not_clear_is_refused(
    browser: Browser, form: dict[str, str], text: str
) -> None:
    """With what is missing; nothing is frozen."""
    browser.get("/dead")
    answer = browser.post("/choose", {"why": "x", **form})
    assert (answer.status_code, text in text_of(answer)) == (400, True)
