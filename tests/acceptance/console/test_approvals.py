"""Refunds that the money guards hold, in the console."""

from __future__ import annotations

import json

from statemachine.flows import State
from tests.support.bulk import turn
from tests.support.console import ACT, APPROVE, USERS, console_scene
from tests.support.guards import held_refund

REJECT = "approve.reject"


def test_only_who_may_approve_approves(redis_url: str) -> None:
    """One or many; the name that is signed in counts as the approver."""
    with (
        console_scene(redis_url, guard_refund="50 USD") as (rig, program),
        program.browser(ACT) as browser,
        program.browser(APPROVE) as approver,
    ):
        one, other, own = (held_refund(rig, requested_by=name) for name in ("bo", "bo", "pat"))
        for path in ("/refund/act", "/choose"):
            form = {"id": one, "act": "approve", "why": "checked"}
            assert browser.post(path, form).status_code == 403
        assert "To approve you need the role" in browser.text("/approvals")
        assert rig.load(one).needs_approval
        page = approver.text("/approvals")
        assert f"{one} 60.00 USD 60.00 USD is more than 50.00 USD per refund bo" in page
        page = approver.act("/refund/act", {"id": one, "act": "approve", "why": "checked"})
        assert f"{one}: approved: it goes on" in page
        page = approver.act("/refund/act", {"id": own, "act": "approve", "why": "checked"})
        assert f"Refused: {own} was requested by pat" in page
        answer = approver.post("/choose", {"id": other, "act": "approve.reject", "why": "no"})
        job = {"id": answer.headers["location"].removeprefix("/job?id="), "step": "start"}
        assert browser.post("/job/step", job).status_code == 403
        assert "is running" in approver.act("/job/step", job)
        turn(rig)
        assert [given["by"] for given in rig.load(one).approvals] == ["pat"]
        assert rig.load(other).state is State.CALLED_OFF
        assert rig.load(other).resolution["by"] == "pat"


def test_nobody_approves_what_they_have_requested_under_their_login(redis_url: str) -> None:
    """Upstream may call somebody as the proxy does; the settings say whose login it is."""
    users = json.dumps(USERS | {"pat": USERS["pat"] | {"login": "psmith"}})
    with (
        console_scene(redis_url, guard_refund="50 USD", console_tokens=users) as (rig, program),
        program.browser(APPROVE) as pat,
    ):
        own, other = (held_refund(rig, requested_by=name) for name in ("P.Smith", "bo"))
        pat.get("/approvals")
        form = {"act": "approve", "why": "checked"}
        assert pat.post("/refund/act", form | {"id": own}).status_code == 403
        assert pat.post("/choose", form | {"id": [own, other]}).status_code == 403
        assert pat.post("/choose", form | {"every": "yes"}).status_code == 403
        assert pat.post("/choose", form | {"id": other}).status_code == 303
        assert rig.load(own).needs_approval
        assert f"{own}: rejected" in pat.act("/refund/act", form | {"id": own, "act": REJECT})
