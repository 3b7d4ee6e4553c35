"""`dead replay --dry-run`: asks Wix now, changes nothing, and says in money what would happen."""

from __future__ import annotations

import json
from collections.abc import Callable
from decimal import Decimal

import pytest

from statemachine.flows import State
from tests.support.letters import desk_of
from tests.support.rig import AFTER, BEFORE, Rig
from worker.operations.acts.dry_run import Foreseen, foresee, summary
from worker.simulator import Fault


def _foresee(rig: Rig, refund_id: str, *, manual_done: bool = False) -> Foreseen:
    """Look ahead; nothing may change, neither in Redis nor at Wix."""
    desk = desk_of(rig)
    refund = rig.load(refund_id)
    assert refund.state is State.DEAD
    before = rig.redis.hgetall(rig.key("refund", refund_id))
    order = rig.simulator.orders[refund.request.order_id]
    at_wix = (len(order.refunds), order.cancellations)
    seconds, _ = rig.redis.time()
    found = foresee(refund, desk, seconds * 1000, manual_done=manual_done)
    assert rig.redis.hgetall(rig.key("refund", refund_id)) == before
    assert (len(order.refunds), order.cancellations) == at_wix
    return found


def _dead(rig: Rig, created: str = AFTER, endpoint: str = "get_order", **order: object) -> str:
    rig.simulator.script(Fault("status", endpoint, status=501))
    return rig.run(rig.order(created, **order)).refund_id


def _would_refund(rig: Rig) -> str:
    return _dead(rig)


def _would_refund_at_once(rig: Rig) -> str:
    return _dead(rig, endpoint="submit_refund")


def _would_cancel(rig: Rig) -> str:
    return _dead(rig, BEFORE)


def _is_refused_again(rig: Rig) -> str:
    refund_id = _dead(rig)
    rig.simulator.script(Fault("status", "get_order", status=428, code="PRECONDITION", times=9))
    return refund_id


def _wix_is_down(rig: Rig) -> str:
    refund_id = _dead(rig)
    rig.simulator.script(Fault("status", "get_order", status=503, times=9))
    return refund_id


def _is_done_at_wix(rig: Rig) -> str:
    """Our refund is there, but the look after it failed for good."""
    rig.simulator.script(Fault("drop_after", "submit_refund"))
    refund_id = rig.request(rig.order(AFTER))
    rig.run_queued()
    rig.simulator.script(Fault("status", "list_transactions", status=501))
    rig.run_until_idle()
    rig.redis.hset(rig.key("refund", refund_id), "intent_at_ms", 1)
    return refund_id


def _is_pending_at_the_provider(rig: Rig) -> str:
    """Our refund is there, and the provider has not settled it."""
    rig.simulator.set_flags(provider_ms=10**12)
    refund_id = rig.request(rig.order(AFTER))
    rig.run_queued()
    rig.simulator.script(Fault("status", "list_transactions", status=501))
    rig.make_due()
    rig.run_queued()
    return refund_id


def _is_not_approved_yet(rig: Rig) -> str:
    refund_id = _dead(rig)
    rig.simulator.orders[rig.load(refund_id).request.order_id].status = "INITIALIZED"
    return refund_id


def _is_to_be_paid_manually(rig: Rig) -> str:
    return rig.run(rig.order(AFTER, payments=[{"amount": "101.40", "offline": True}])).refund_id


@pytest.mark.parametrize(
    ("make", "kind", "amount"),
    [
        (_would_refund, "refund", "101.40"),
        (_would_refund_at_once, "refund", "101.40"),
        (_would_cancel, "change", None),
        (_is_refused_again, "refused", None),
        (_wix_is_down, "unasked", None),
        (_is_done_at_wix, "done", "0"),
        (_is_pending_at_the_provider, "waits", None),
        (_is_not_approved_yet, "waits", None),
        (_is_to_be_paid_manually, "manual", "101.40"),
    ],
)
def test_a_dry_run_says_what_a_replay_would_do(
    rig: Rig, make: Callable[[Rig], str], kind: str, amount: str | None
) -> None:
    """In money, where money would move."""
    found = _foresee(rig, make(rig))
    assert found.kind == kind, found
    assert found.amount == (Decimal(amount) if amount else None)


def test_what_was_paid_manually_would_only_be_recorded(rig: Rig) -> None:
    """Wix moves nothing; the replay then does what was said."""
    refund_id = _is_to_be_paid_manually(rig)
    found = _foresee(rig, refund_id, manual_done=True)
    assert (found.kind, found.amount, found.currency) == ("record", Decimal("101.40"), "USD")
    assert "Wix moves nothing" in summary([found])[0]
    rig.replay(refund_id, operator="ann", manual_done=True)
    rig.run_until_idle()
    refund = rig.load(refund_id)
    [recorded] = rig.simulator.orders[refund.request.order_id].refunds
    assert recorded["transactions"][0]["externalRefund"] is True
    assert refund.state is State.REFUNDED


def test_what_is_done_at_wix_is_closed_without_another_refund(rig: Rig) -> None:
    """As its dry run says."""
    refund_id = _is_done_at_wix(rig)
    assert summary([_foresee(rig, refund_id)]) == ["1 already done at Wix: closed as done, 0.00"]
    rig.replay(refund_id, operator="ann")
    rig.run_until_idle()
    refund = rig.load(refund_id)
    assert refund.state is State.REFUNDED
    assert len(rig.simulator.orders[refund.request.order_id].refunds) == 1


def test_a_replay_does_what_its_dry_run_said(rig: Rig) -> None:
    """The same amount, to the cent."""
    refund_id = _dead(rig)
    found = _foresee(rig, refund_id)
    rig.replay(refund_id, operator="ann")
    rig.run_until_idle()
    refund = rig.load(refund_id)
    assert found.amount == Decimal(refund.facts.refund_amount)
    assert found.currency == refund.facts.currency == "USD"


def test_a_letter_that_cannot_be_replayed_says_so(rig: Rig) -> None:
    """Wix is not asked."""
    refund_id = _dead(rig)
    reason = json.dumps({"reason": "paid_twice"})
    rig.redis.hset(rig.key("refund", refund_id), "reason", reason)
    found = _foresee(rig, refund_id)
    assert (found.kind, found.detail) == ("cannot", "paid_twice")


def test_the_summary_adds_up_each_kind() -> None:
    """One sentence for each result and detail, with the sums per currency."""
    usd = Decimal("956.20")
    found = [
        Foreseen("a", "done", "", Decimal(0), "USD"),
        Foreseen("b", "refund", "", usd, "USD"),
        Foreseen("c", "refund", "", usd, "USD"),
        Foreseen("d", "refund", "", Decimal(1000), "JPY"),
        Foreseen("e", "refused", "428 PRECONDITION refused_by_wix"),
        Foreseen("f", "manual", "", Decimal("7.00"), "USD"),
    ]
    assert summary(found) == [
        "1 already done at Wix: closed as done, 0.00",
        "3 would refund 1,000 JPY, 1,912.40 USD",
        "1 needs a manual payment first, then --manual-done: 7.00 USD",
        "1 would be refused again (428 PRECONDITION refused_by_wix)",
    ]
