"""The ledger's scripts without a server, for quick answers. The truth is in acceptance."""

from __future__ import annotations

import fakeredis
import pytest

from statemachine.flows import State, Transition
from worker.ledger.claims import StepCommit
from worker.ledger.lanes import LaneRules
from worker.ledger.refunds import Ledger
from worker.queue.delivery import Delivery
from worker.refund.request import RefundRequest, parse_request

STORE_ID = "4b296c48-0000-4000-8000-000000000001"
ME = Delivery("me", "steps", "m-1", "run-1")


@pytest.fixture
def ledger() -> Ledger:
    """A ledger in memory, on which `me` is alive."""
    client = fakeredis.FakeRedis(decode_responses=True)
    client.zadd("{unit}:workers", {"me": 10**14})
    return Ledger(client, namespace="unit", lanes=LaneRules(2), worker_dead_after_ms=10_000)


def _request(refund_id: str = "rf-1", number: int = 1, **more: object) -> RefundRequest:
    order_id = f"67668940-527d-4465-94c6-{number:012d}"
    return parse_request(
        {"refund_id": refund_id, "store_id": STORE_ID, "order_id": order_id} | more
    )


def test_a_job_is_accepted_once(ledger: Ledger) -> None:
    """Same content: duplicate. Other content: conflict, and the first stays."""
    assert ledger.accept(_request(), ME) == "accepted"
    assert ledger.accept(_request(), ME) == "duplicate"
    assert ledger.accept(_request(reason="other"), ME) == "conflict"
    refund = ledger.load("rf-1")
    assert refund is not None
    assert (refund.state, refund.request.reason, refund.version) == (State.ACCEPTED, "", 1)


def _replay(ledger: Ledger) -> bool:
    refund = ledger.load("rf-1")
    assert refund is not None
    return ledger.replay(refund, refund.facts, operator="ann")


def test_a_step_from_claim_to_settle(ledger: Ledger) -> None:
    """One claim, one settle, one line of history."""
    ledger.accept(_request(), ME)
    claim = ledger.claim("rf-1", Transition.ASSESS_ORDER, ME)
    assert (claim.status, claim.refund is not None) == ("claimed", True)
    line = {"event": "step.done"}
    commit = StepCommit(state=State.REFUNDABLE, next="now", history=(line,))
    assert ledger.commit("rf-1", claim, commit, ME)
    assert [x["event"] for x in ledger.history("rf-1")] == ["refund.accepted", "step.done"]
    assert ledger.claim("rf-1", Transition.ASSESS_ORDER, ME).status == "refused"


def test_a_dead_letter_is_replayed_where_it_died(ledger: Ledger) -> None:
    """Once; what is not dead is not replayed."""
    ledger.accept(_request(), ME)
    assert not _replay(ledger)
    claim = ledger.claim("rf-1", Transition.ASSESS_ORDER, ME)
    dead = StepCommit(state=State.DEAD, next="end", fields={"died_in": "accepted"})
    assert ledger.commit("rf-1", claim, dead, ME)
    assert [r.refund_id for r in ledger.newest(state=State.DEAD, limit=5)] == ["rf-1"]
    assert _replay(ledger)
    assert not _replay(ledger)
    refund = ledger.load("rf-1")
    assert refund is not None
    assert (refund.state, refund.died_in, refund.attempt) == (State.ACCEPTED, "", 0)
