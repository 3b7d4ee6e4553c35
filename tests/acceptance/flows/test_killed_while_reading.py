"""A worker that is killed while a step only reads has changed nothing at Wix."""

from __future__ import annotations

from typing import Any

import pytest

from statemachine.flows import State, Transition
from tests.support.rig import AFTER, BEFORE, Rig


def _kill_while_it_reads(rig: Rig, created: str, transition: Transition, **order: Any) -> str:
    """Claim the step as a worker without a heartbeat, which never continues."""
    refund_id = rig.request(rig.order(created, **order))
    rig.run_one_step()
    dead = rig.delivery("killed")
    assert rig.ledger.claim(refund_id, transition, dead).status == "claimed"
    return refund_id


@pytest.mark.parametrize(
    ("payments", "state", "reason"),
    [
        (
            [{"amount": "10.00", "non_refundable": "ORDER_IS_REJECTED"}],
            State.REJECTED,
            "order_rejected",
        ),
        ([{"amount": "10.00", "offline": True}], State.DEAD, "manual_payment"),
    ],
)
def test_the_refund_ends_as_if_no_worker_had_been_killed(
    rig: Rig, payments: list[dict[str, Any]], state: State, reason: str
) -> None:
    """Nobody is told that a call may have moved money if none was made."""
    refund_id = _kill_while_it_reads(rig, AFTER, Transition.SUBMIT_REFUND, payments=payments)
    rig.run_until_idle()
    refund = rig.load(refund_id)
    assert (refund.state, refund.reason["reason"]) == (state, reason)


@pytest.mark.parametrize(
    ("created", "transition"),
    [(BEFORE, Transition.CANCEL_ORDER), (AFTER, Transition.SUBMIT_REFUND)],
)
def test_the_next_worker_does_not_wait_for_a_call_that_was_not_made(
    rig: Rig, created: str, transition: Transition
) -> None:
    """The settle delay is only for calls that may still take effect."""
    refund_id = _kill_while_it_reads(rig, created, transition)
    rig.run_queued()
    assert rig.load(refund_id).state in (State.CANCELLED, State.REFUNDED)


def test_a_call_that_may_have_been_made_is_waited_for(rig: Rig) -> None:
    """The intent was written, and what happened then is unknown."""
    refund_id = rig.request(rig.order(AFTER))
    rig.run_one_step()
    dead = rig.delivery("killed")
    claim = rig.ledger.claim(refund_id, Transition.SUBMIT_REFUND, dead)
    assert claim.refund is not None
    assert rig.ledger.write_intent(claim, claim.refund, dead).status == "written"
    rig.run_queued()
    refund = rig.load(refund_id)
    assert refund.state is State.REFUNDABLE
    assert refund.intent_at_ms > 0


def test_a_lost_lease_writes_no_intent(rig: Rig) -> None:
    """The refund belongs to another worker by then."""
    refund_id = rig.request(rig.order(AFTER))
    rig.run_one_step()
    one, two = rig.delivery("one"), rig.delivery("two")
    claim = rig.ledger.claim(refund_id, Transition.SUBMIT_REFUND, one)
    assert rig.ledger.claim(refund_id, Transition.SUBMIT_REFUND, two).status == "claimed"
    assert claim.refund is not None
    assert rig.ledger.write_intent(claim, claim.refund, one).status == "lost"
    assert rig.load(refund_id).intent_at_ms == 0
