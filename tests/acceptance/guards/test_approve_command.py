"""`refunds approve`, and what `status`, `list` and `show` say about refunds that wait for it."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from statemachine.flows import State
from tests.support.commands import refunds, settings_of
from tests.support.guards import guarded, held_refund
from tests.support.rig import STORE_ID, Rig
from worker.ledger.audit_log import Operator
from worker.operations.acts.approvals import approve

BEA = Operator("bea", "checked")


@pytest.fixture
def rig(redis_url: str) -> Iterator[Rig]:
    """A worker that may refund 50 USD; one person may approve 100 USD."""
    with guarded(redis_url, refund="50 USD", two_people="100 USD") as rig:
        yield rig


def test_status_shows_what_waits_and_the_next_command(rig: Rig) -> None:
    """With amounts, why, and how many have approved; the exit code is 1."""
    whole, part = held_refund(rig, ""), held_refund(rig)
    approve(rig.acts, whole, operator=BEA)
    done = refunds(rig, "status")
    assert done.returncode == 1
    assert "2 wait (161.40 USD)" in done.stdout
    assert f"{whole} 1 of 2 approvals, for" in done.stdout
    assert f"{part} for" in done.stdout
    needed = "Refunds that wait for an approval: 2.  ->  refunds list --reason-code needs_approval"
    assert needed in done.stdout
    told = json.loads(refunds(rig, "status", "--json").stdout)["approvals"]
    assert (told["count"], told["amounts"], told["amount_unknown"]) == (2, {"USD": "161.40"}, 0)
    assert told["refunds"][0]["approvals"] == 1
    listed = refunds(rig, "list", "--reason", "needs_approval").stdout
    assert "60.00 USD is more than 50.00 USD per refund" in listed
    assert "2 of 2" in listed or "2 refunds" in listed


def test_show_says_whose_approval_is_missing(rig: Rig) -> None:
    """And why."""
    whole = held_refund(rig, "")
    approve(rig.acts, whole, operator=BEA)
    shown = refunds(rig, "show", whole).stdout
    assert "the approvals of 2 people (so far bea): 101.40 USD is more than" in shown


def test_the_command_approves_and_rejects(rig: Rig) -> None:
    """It needs a reason, which is kept; each refusal says why."""
    first, second = held_refund(rig, requested_by="ann"), held_refund(rig)
    because = ("--reason", "checked")
    assert refunds(rig, "approve", first, "--by", "bea").returncode == 2
    refused = refunds(rig, "approve", first, "--by", "ann", *because)
    assert (refused.returncode, "requested by ann" in refused.stdout) == (1, True)
    done = refunds(rig, "approve", first, "--by", "bea", *because)
    assert (done.returncode, done.stdout) == (0, f"{first}: approved: it goes on\n")
    done = refunds(rig, "approve", second, "--reject", "--by", "bea", *because)
    assert (done.returncode, done.stdout) == (0, f"{second}: rejected: it is called off\n")
    rig.run_until_idle()
    assert [rig.load(each).state for each in (first, second)] == [
        State.REFUNDED,
        State.CALLED_OFF,
    ]


def test_all_that_wait_are_approved_in_bulk(rig: Rig) -> None:
    """The workers do it, each item once; what was requested by the same person is refused."""
    mine, others = held_refund(rig, requested_by="bea"), [held_refund(rig), held_refund(rig)]
    given = ("--all", "--by", "bea", "--reason", "checked", "--yes", "--rate", "1000")
    done = refunds(rig, "approve", *given, "--json")
    assert json.loads(done.stdout)["total"] == 3
    for _ in range(5):
        rig.app.jobs.turn(lambda: False)
    rig.run_until_idle()
    assert {rig.load(each).state for each in others} == {State.REFUNDED}
    assert rig.load(mine).needs_approval


def test_the_command_requests_under_the_name_that_it_would_approve_under(rig: Rig) -> None:
    """In a container all have the same login, so that it tells nobody apart."""
    order = rig.order(amounts=["60.00"])
    given = ("--store", STORE_ID, "--order", order.id, "--refund-id", "rf-1")
    as_ann = settings_of(rig) | {"REFUNDS_OPERATOR": "Ann"}
    assert refunds(rig, "request", *given, environment=as_ann).returncode == 0
    rig.run_until_idle()
    assert rig.load("rf-1").needs_approval
    because = ("--reason", "mine")
    mine = refunds(rig, "approve", "rf-1", *because, environment=as_ann)
    assert (mine.returncode, "was requested by Ann" in mine.stdout) == (1, True)
    assert rig.load("rf-1").needs_approval
