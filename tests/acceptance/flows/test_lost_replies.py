"""A refund call whose reply was lost, when what Wix shows of it is late, cut or contradictory."""

from __future__ import annotations

import pytest

from statemachine.flows import State
from tests.support.rig import AFTER, Rig
from worker.simulator import Fault
from worker.simulator.world.orders import Order


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
    assert rig.replay(refund_id, operator="ann")
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
    assert refund.reason["detail"] == "80.00 requested, 70.00 left"


def test_what_a_refused_provider_did_not_pay_is_not_told_as_paid(rig: Rig) -> None:
    """The outcome's amount is the money that moved."""
    order = rig.order(AFTER, payments=[{"amount": "20.00"}, {"amount": "7.00"}])
    order.payments[1].outcome = "FAILED"
    refund = rig.run(order)
    assert refund.reason["reason"] == "refund_mixed"
    assert refund.facts.refund_amount == "20.00"


def _told_as_unknown(rig: Rig, order: Order, **asked: str) -> str:
    """A person is asked about a call that never arrived."""
    rig.simulator.script(Fault("drop", "submit_refund", times=4))
    refund_id = rig.request(order, **asked)
    rig.settle()
    assert rig.load(refund_id).reason["reason"] == "outcome_unknown"
    return refund_id


@pytest.mark.parametrize("buried", [False, True])
def test_a_persons_word_is_not_for_a_newer_call(rig: Rig, buried: bool) -> None:
    """Vouched for, sent anew, unclear again; a store disconnected and connected changes nothing."""
    order = rig.order(AFTER, payments=[{"amount": "10.00"}, {"amount": "50.00"}])
    refund_id = _told_as_unknown(rig, order, amount="10.00", currency="USD")
    rig.redis.hincrby(rig.key("refund", refund_id), "intent_at_ms", -3_600_000)
    assert rig.replay(refund_id, operator="ann")
    rig.simulator.set_flags(refund_list_lag_ms=10**12)
    rig.simulator.script(Fault("drop_after", "submit_refund"))
    rig.turn()
    assert _moved(order) == ["10.00"]
    if buried:
        reason, line = {"reason": "store_disconnected"}, {"event": "step.dead"}
        assert rig.stores.bury(rig.load(refund_id), reason=reason, line=line)
        assert rig.replay(refund_id, operator="bob")
    rig.settle()
    assert rig.load(refund_id).reason["reason"] == "outcome_unknown"
    assert _moved(order) == ["10.00"]


def test_a_persons_word_outlives_another_letter(rig: Rig) -> None:
    """Not done, they said; then they paid by hand: they are not asked again whether it was done."""
    payments = [{"amount": "30.00"}, {"amount": "100.00", "offline": True}]
    order = rig.order(AFTER, payments=payments)
    rig.simulator.set_flags(refund_list_lag_ms=10**12)
    rig.simulator.merchant_refunds(order.id, "dashboard", "5.00", payment_id=order.payments[0].id)
    order.payments[1].offline = False
    rig.simulator.script(Fault("drop", "submit_refund"))
    refund_id = rig.request(order, amount="50.00", currency="USD")
    rig.turn()
    order.payments[1].offline = True
    rig.settle()
    assert rig.load(refund_id).reason["reason"] == "outcome_unknown"
    assert rig.replay(refund_id, operator="ann")
    rig.settle()
    assert "pay 25.00 USD" in rig.load(refund_id).reason["detail"]
    assert rig.replay(refund_id, operator="ann", manual_done=True)
    rig.turn()
    # At once, although the list is still late.
    assert _moved(order) == ["5.00", "25.00", "25.00"]
    rig.simulator.set_flags(refund_list_lag_ms=0)
    rig.settle()
    assert rig.load(refund_id).state is State.REFUNDED


def test_a_vouched_refund_is_not_asked_about_for_ever(rig: Rig) -> None:
    """Refused for good, or refunded by the merchant: it ends as that."""
    order = rig.order(AFTER, payments=[{"amount": "10.00"}])
    refund_id = _told_as_unknown(rig, order)
    rig.simulator.merchant_refunds(order.id, "dashboard")
    assert rig.replay(refund_id, operator="ann")
    rig.settle()
    assert rig.load(refund_id).reason["reason"] == "already_refunded"


def test_a_vouched_refund_may_be_paid_by_hand(rig: Rig) -> None:
    """Wix wants it recorded: that is a plain answer now."""
    order = rig.order(AFTER, payments=[{"amount": "10.00"}])
    refund_id = _told_as_unknown(rig, order)
    data, code = {"paymentId": order.payments[0].id}, "EXTERNAL_REFUND_EXPECTED"
    rig.simulator.script(Fault("status", "submit_refund", status=428, code=code, data=data))
    assert rig.replay(refund_id, operator="ann")
    rig.settle()
    assert rig.load(refund_id).reason["reason"] == "manual_payment"


@pytest.mark.parametrize("monetary", [True, False])
def test_a_refunded_gift_card_does_not_hide_ours(rig: Rig, monetary: bool) -> None:
    """What is missing in the list is missed payment by payment, not in the sum."""
    gift_card = {"amount": "20.00", "kind": "gift_card"}
    order = rig.order(AFTER, payments=[gift_card, {"amount": "10.00"}, {"amount": "50.00"}])
    rig.simulator.set_flags(gift_card_monetary=monetary)
    rig.simulator.merchant_refunds(order.id, "dashboard", payment_id=order.payments[0].id)
    order.refunds[0]["_created_ms"] = 0
    rig.simulator.set_flags(refund_list_lag_ms=10**11)
    refund_id = _unclear(rig, order, amount="10.00", currency="USD")
    rig.settle()
    assert rig.load(refund_id).reason["reason"] == "outcome_unknown"
    assert _moved(order) == ["20.00", "10.00"]


def test_looks_at_a_provider_do_not_use_up_those_at_a_changed_order(rig: Rig) -> None:
    """The provider was down for a while; then the merchant was first."""
    order = rig.order(AFTER, payments=[{"amount": "100.00", "non_refundable": "PROVIDER_IS_DOWN"}])
    refund_id = rig.request(order)
    for _ in range(4):
        rig.turn()
        rig.later()
    order.payments[0].non_refundable = ""
    _merchant_is_first(rig, order)
    rig.settle()
    assert rig.load(refund_id).state is State.REFUNDED
    assert _moved(order) == ["30.00", "70.00"]
