"""A refund call whose reply was lost, when what Wix shows of it is late, cut or contradictory."""

from __future__ import annotations

import pytest

from statemachine.flows import State
from tests.rig import AFTER, Rig
from worker.simulator import Fault
from worker.simulator.orders import Order


def _moved(order: Order) -> list[str]:
    parts = [part for refund in order.refunds for part in refund["transactions"]]
    return [part["amount"]["amount"] for part in parts]


def _unclear(rig: Rig, order: Order, **asked: str) -> str:
    """Wix does it; the reply is lost."""
    rig.simulator.script(Fault("drop_after", "submit_refund"))
    refund_id = rig.request(order, **asked)
    rig.turn()
    return refund_id


def _merchant_is_first(rig: Rig, order: Order) -> None:
    """Once, between our question and our call."""

    def act() -> None:
        if not order.refunds:
            rig.simulator.merchant_refunds(order.id, "dashboard", "30.00")

    rig.at = {"before_call": act}


def test_another_payment_is_not_taken_while_the_list_is_late(rig: Rig) -> None:
    """Refundability shows the money gone, the list not yet by whom: nothing more is sent."""
    rig.simulator.set_flags(refund_list_lag_ms=10**12)
    order = rig.order(AFTER, payments=[{"amount": "10.00"}, {"amount": "50.00"}])
    refund_id = _unclear(rig, order, amount="10.00", currency="USD")
    rig.settle()
    assert rig.load(refund_id).reason["reason"] == "outcome_unknown"
    assert _moved(order) == ["10.00"]


def test_a_late_list_is_waited_for(rig: Rig) -> None:
    """It shows the refund in the end: found, not repeated."""
    rig.simulator.set_flags(refund_list_lag_ms=10**12)
    order = rig.order(AFTER, payments=[{"amount": "10.00"}, {"amount": "50.00"}])
    refund_id = _unclear(rig, order, amount="10.00", currency="USD")
    for _ in range(3):
        rig.later()
        rig.turn()
    assert rig.load(refund_id).state is State.REFUNDABLE
    rig.simulator.set_flags(refund_list_lag_ms=0)
    rig.settle()
    assert rig.load(refund_id).state is State.REFUNDED
    assert _moved(order) == ["10.00"]


def test_after_an_unclear_call_nobody_is_told_to_pay_by_hand(rig: Rig) -> None:
    """It may be what that call paid already, even if nothing of it is to be seen."""
    payments = [{"amount": "10.00"}, {"amount": "50.00", "offline": True}]
    order = rig.order(AFTER, payments=payments)
    refund_id = _unclear(rig, order, amount="10.00", currency="USD")
    order.refunds.clear()
    order.payments[0].non_refundable = "ALREADY_REFUNDED"
    rig.settle()
    reason = rig.load(refund_id).reason
    assert (reason["reason"], "USD" in reason["detail"]) == ("outcome_unknown", False)
    # A person looked, and says that it was not done: now it is known what is to be paid.
    assert rig.ledger.replay(refund_id, operator="ann")
    rig.settle()
    assert "pay 10.00 USD" in rig.load(refund_id).reason["detail"]


@pytest.mark.parametrize("chars", [30, 100, 200])
def test_a_reason_that_wix_cuts_is_still_ours(rig: Rig, chars: int) -> None:
    """The mark stands first."""
    rig.simulator.set_flags(reason_chars=chars)
    order = rig.order(AFTER, payments=[{"amount": "100.00"}])
    reason = "the parcel arrived damaged 📦 " * 8
    refund_id = _unclear(rig, order, amount="10.00", currency="USD", reason=reason)
    rig.settle()
    assert rig.load(refund_id).state is State.REFUNDED
    assert _moved(order) == ["10.00"]


def test_a_reason_is_never_too_long_for_wix(rig: Rig) -> None:
    """200 characters however they are counted, and none cut in half."""
    order = rig.order(AFTER)
    rig.run(order, reason="📦" * 120)
    told = order.refunds[0]["details"]["reason"]
    assert len(told.encode("utf-16-le")) // 2 <= 200
    assert told.endswith("📦")


def test_a_full_refund_takes_what_the_merchant_left_a_moment_ago(rig: Rig) -> None:
    """Between our question and our call the merchant refunds a part: the rest is refunded."""
    order = rig.order(AFTER, payments=[{"amount": "100.00"}])
    _merchant_is_first(rig, order)
    refund = rig.run(order)
    assert refund.state is State.REFUNDED
    assert _moved(order) == ["30.00", "70.00"]


def test_a_part_that_the_merchant_took_a_moment_ago_is_told_with_what_is_left(rig: Rig) -> None:
    """Asked for 80.00 of 100.00; 30.00 went meanwhile."""
    order = rig.order(AFTER, payments=[{"amount": "100.00"}])
    _merchant_is_first(rig, order)
    refund = rig.run(order, amount="80.00", currency="USD")
    assert refund.reason["reason"] == "amount_exceeds_refundable"
    assert refund.reason["detail"] == "80.00 asked, 70.00 left"


def test_what_a_refused_provider_did_not_pay_is_not_told_as_paid(rig: Rig) -> None:
    """The outcome's amount is the money that moved."""
    order = rig.order(AFTER, payments=[{"amount": "20.00"}, {"amount": "7.00"}])
    order.payments[1].outcome = "FAILED"
    refund = rig.run(order)
    assert refund.reason["reason"] == "refund_mixed"
    assert refund.facts["refund_amount"] == "20.00"
