"""Acts in the console: who may do them, what they do, and what the audit log says."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest

from statemachine.flows import State
from tests.support.bulk import dead_letters
from tests.support.console import ACT, VIEW, Browser, ConsoleProgram, console_scene, text_of
from tests.support.rig import AFTER, KEY, STORE_ID, Rig
from worker.console.pages import PAGES
from worker.ledger.audit_log import Operator
from worker.operations.acts import refunds as acts
from worker.simulator import Fault

Scene = tuple[Rig, ConsoleProgram]


@pytest.fixture(scope="module")
def scene(redis_url: str) -> Iterator[Scene]:
    """A worker with a console, shared by the tests of this file."""
    with console_scene(redis_url) as made:
        yield made


def entries(rig: Rig, subject: str) -> list[dict[str, Any]]:
    """Return the entries of the audit log about a subject."""
    found = [entry.fields() for entry in rig.ledger.audit_log.entries()]
    return [entry for entry in found if entry["subject"] == subject]


def test_a_dead_letter_is_replayed_resolved_or_discarded(scene: Scene) -> None:
    """Each is in the audit log under the name of who is signed in, with the reason."""
    rig, program = scene
    replayed, resolved, discarded = dead_letters(rig, 3)
    with program.browser(ACT) as browser:
        for letter, act, more, said in (
            (replayed, "dead.replay", {}, "replayed"),
            (
                resolved,
                "dead.resolve",
                {"amount": "12.50", "currency": "usd"},
                "resolved; Wix shows",
            ),
            (discarded, "dead.discard", {}, "discarded"),
        ):
            browser.get(f"/refund?id={letter}")
            version = str(rig.load(letter).version)
            form = {"id": letter, "version": version, "act": act, "why": "asked by <b>Bo</b>"}
            assert f"{letter}: {said}" in browser.act("/refund/act", form | more)
            [entry] = entries(rig, letter)
            assert (entry["by"], entry["why"], entry["act"]) == ("ann", "asked by <b>Bo</b>", act)
    rig.run_until_idle()
    states = [rig.load(letter).state for letter in (replayed, resolved, discarded)]
    assert states == [State.REFUNDED, State.RESOLVED, State.DISCARDED]
    paid = rig.load(resolved).resolution["paid"]
    assert (paid["amount"], paid["currency"]) == ("12.50", "USD")


def test_what_has_changed_since_it_was_shown_is_left_alone(scene: Scene) -> None:
    """Somebody else was faster; the answer says so, and nothing is written."""
    rig, program = scene
    [letter] = dead_letters(rig, 1)
    with program.browser(ACT) as browser:
        browser.get(f"/refund?id={letter}")
        form = {"id": letter, "version": str(rig.load(letter).version - 1), "why": "x"}
        page = browser.act("/refund/act", form | {"act": "dead.replay"})
    assert f"Refused: {letter} changed in the meantime" in page
    assert entries(rig, letter) == []


@pytest.mark.parametrize(
    ("form", "text"),
    [
        ({"act": "dead.replay"}, "Say why"),
        ({"act": "dead.replay", "why": "x" * 501}, "at most 500"),
        ({"act": "dead.resolve", "why": "x"}, "Say how much"),
        ({"act": "dead.resolve", "why": "x", "amount": "1e3", "currency": "USD"}, "Say how much"),
        ({"act": "dead.resolve", "why": "x", "amount": "1"}, "needs its currency"),
        ({"act": "edit", "why": "x"}, "no such act"),
        ({"act": "", "why": "x"}, "no such act"),
    ],
)
def test_an_incomplete_form_does_nothing(scene: Scene, form: dict[str, str], text: str) -> None:
    """It is answered with 400 and says what is missing."""
    rig, program = scene
    [letter] = dead_letters(rig, 1)
    with program.browser(ACT) as browser:
        answer = browser.post("/refund/act", {"id": letter, **form})
    assert (answer.status_code, text in answer.text) == (400, True)
    assert rig.load(letter).state is State.DEAD
    assert entries(rig, letter) == []


def test_who_may_only_look_changes_nothing(scene: Scene) -> None:
    """Every form is refused, whatever it says, and no page offers one."""
    rig, program = scene
    [letter] = dead_letters(rig, 1)
    count = rig.ledger.audit_log.count()
    forms = [page.path for page in PAGES if page.method == "POST"]
    with program.browser(VIEW) as browser:
        for path in forms:
            for act in ("dead.replay", "pause", "dry_run", "start"):
                fields = {"id": letter, "act": act, "step": act, "why": "x"}
                assert browser.post(path, fields).status_code == 403
        for path in (f"/refund?id={letter}", "/dead", f"/store?id={STORE_ID}", "/stores"):
            assert not re.search('<button name="(act|step)"', browser.get(path).text)
    assert len(forms) == 4
    assert rig.ledger.audit_log.count() == count


def test_a_refund_that_runs_is_held_released_tried_and_called_off(scene: Scene) -> None:
    """With the buttons that fit its state; what is refused says why."""
    rig, program = scene
    refund_id = rig.request(rig.order(AFTER))
    rig.simulator.script(Fault("status", "get_order", status=503))
    rig.run_queued()
    with program.browser(ACT) as browser:
        for act, said, offered in (
            ("retry", "goes now", "hold"),
            ("retry", "Refused", "hold"),
            ("hold", "on hold", "release"),
            ("release", "released", "hold"),
            ("hold", "on hold", "release"),
            ("cancel", "called off", ""),
        ):
            form = {"id": refund_id, "act": act, "why": "the buyer called"}
            assert said in browser.act("/refund/act", form)
            buttons = re.findall(
                'name="act" value="([^"]+)"', browser.get(f"/refund?id={refund_id}").text
            )
            assert (offered in buttons) if offered else not buttons
    assert rig.load(refund_id).state is State.CALLED_OFF
    acts = [entry["act"] for entry in entries(rig, refund_id)]
    assert acts == ["retry", "hold", "release", "hold", "cancel"]


def test_a_hold_that_nobody_has_seen_is_not_released(scene: Scene) -> None:
    """The page showed another one, which somebody else has released and replaced."""
    rig, program = scene
    refund_id = rig.request(rig.order(AFTER))
    rig.run_one_step()
    acts.hold(rig.acts, refund_id, operator=Operator("ann", "the buyer called"))
    with program.browser(ACT) as browser:
        form = {"id": refund_id, "act": "release", "hold": mark_on_page(browser, refund_id)}
        acts.release(rig.acts, refund_id, operator=Operator("bo", "done"))
        acts.hold(rig.acts, refund_id, operator=Operator("bo", "fraud?"))
        assert "changed in the meantime" in browser.act("/refund/act", form)
        assert rig.load(refund_id).hold["why"] == "fraud?"
        seen = {"hold": mark_on_page(browser, refund_id)}
        assert f"{refund_id}: released" in browser.act("/refund/act", form | seen)
    rig.run_until_idle()


def mark_on_page(browser: Browser, refund_id: str) -> str:
    """Return what the form of a refund's page says of its hold."""
    page = browser.get(f"/refund?id={refund_id}").text
    [mark] = re.findall('name="hold" value="([^"]+)"', page)
    return str(mark)


def test_a_dry_run_asks_wix_and_changes_nothing(scene: Scene) -> None:
    """It says in money what a replay would do."""
    rig, program = scene
    ids = dead_letters(rig, 2)
    versions = [rig.load(each).version for each in ids]
    count = rig.ledger.audit_log.count()
    with program.browser(ACT) as browser:
        answer = browser.post("/choose", {"id": ids, "act": "dry_run"})
        assert "2 would refund 202.80 USD" in text_of(answer)
        every = {"id": ids[0], "every": "yes", "refund": ids[1], "act": "dry_run"}
        page = text_of(browser.post("/choose", every))
        assert (ids[0] in page, ids[1] in page) == (False, True)
        assert browser.post("/choose", {"act": "dry_run"}).status_code == 400
        many = {"id": [f"rf-{n}" for n in range(26)], "act": "dry_run"}
        assert browser.post("/choose", many).status_code == 400
    assert [rig.load(each).version for each in ids] == versions
    assert rig.ledger.audit_log.count() == count


def test_a_message_is_discarded(scene: Scene) -> None:
    """A letter that never became a refund."""
    rig, program = scene
    rig.send_raw("no job", "m-to-discard")
    rig.run_queued()
    with program.browser(ACT) as browser:
        browser.get("/refund?id=m-to-discard")
        form = {"id": "m-to-discard", "act": "dead.discard", "why": "not ours"}
        assert browser.post("/refund/act", form).status_code == 303
    assert [entry["by"] for entry in entries(rig, "m-to-discard")] == ["ann"]
    assert rig.broker.letter("m-to-discard") is None


def test_a_store_is_paused_and_resumed(scene: Scene) -> None:
    """One, or all; each needs a reason, and is in the audit log."""
    rig, program = scene
    with program.browser(ACT) as browser:
        form = {"id": STORE_ID, "act": "pause"}
        assert browser.post("/store/act", form).status_code == 400
        assert f"{STORE_ID}: paused" in browser.act("/store/act", form | {"why": "fraud?"})
        assert "paused already" in browser.act("/store/act", form | {"why": "fraud?"})
        assert "All stores: paused" in browser.act("/store/act", {"act": "pause_all", "why": "x"})
        assert set(rig.acts.pauses()) == {STORE_ID, "*"}
        assert f"{STORE_ID}: resumed" in browser.act("/store/act", form | {"act": "resume"})
        assert "All stores: resumed" in browser.act("/store/act", {"act": "resume_all"})
        again = browser.act("/store/act", form | {"act": "resume"})
        assert "neither suspended nor paused" in again
        assert (
            browser.post("/store/act", {"id": "x", "act": "pause", "why": "x"}).status_code == 404
        )
        assert browser.post("/store/act", form | {"act": "drop"}).status_code == 400
    assert rig.acts.pauses() == {}
    assert [entry["act"] for entry in entries(rig, STORE_ID)] == ["stores.pause", "stores.resume"]
    assert [entry["by"] for entry in entries(rig, STORE_ID)] == ["ann", "ann"]


def test_the_key_of_a_store_is_checked_with_wix(scene: Scene) -> None:
    """The store's own page shows each box, and is live; the key itself is never shown."""
    rig, program = scene
    form = {"id": STORE_ID, "act": "check"}
    with program.browser(ACT) as browser:
        assert browser.post("/store/act", form).headers["location"] == f"/store?id={STORE_ID}"
        assert "Wix accepts the key" in browser.text(f"/store?id={STORE_ID}")
        rig.simulator.revoke_key(KEY)
        page = browser.act("/store/act", form)
        rig.simulator.restore_key(KEY)
    assert "Wix does not know this API Key" in page
    assert KEY not in page
