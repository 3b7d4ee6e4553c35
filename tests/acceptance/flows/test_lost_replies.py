"""A refund call whose reply was lost, while Wix shows its effect late or inconsistently."""

from __future__ import annotations

import time

import pytest

from statemachine.flows import State, Transition
from tests.support.rig import AFTER, Rig
from worker.simulator import Fault
from worker.simulator.world.orders import Order


def _moved(order: Order) -> list[str]:
    parts = [part for refund in order.refunds for part in refund["transactions"]]
    return [part["amount"]["amount"] for part in parts]


def _unclear(rig: Rig, order: Order, **asked: str) -> str:
    """Send a refund that Wix carries out, and lose the reply."""
    rig.simulator.script(Fault("drop_after", "submit_refund"))
    refund_id = rig.request(order, **asked)
    rig.run_queued()
    return refund_id


def _merchant_is_first(rig: Rig, order: Order) -> None:
    """Let the merchant refund a part once, between our reading the order and our call."""

    def act() -> None:
        if not order.refunds:
            rig.simulator.merchant_refunds(order.id, "dashboard", "30.00")

    rig.at = {"before_call": act}


def test_no_other_payment_is_refunded_while_the_list_lags(rig: Rig) -> None:
    """Refundability shows that money is gone before the list shows by which refund."""
    rig.simulator.set_flags(refund_list_lag_ms=10**12)
    order = rig.order(AFTER, payments=[{"amount": "10.00"}, {"amount": "50.00"}])
    refund_id = _unclear(rig, order, amount="10.00", currency="USD")
    rig.run_until_idle()
    assert rig.load(refund_id).reason["reason"] == "outcome_unknown"
    assert _moved(order) == ["10.00"]


def test_a_lagging_list_is_waited_for(rig: Rig) -> None:
    """When the refund appears in the list it is found, not repeated."""
    rig.simulator.set_flags(refund_list_lag_ms=10**12)
    order = rig.order(AFTER, payments=[{"amount": "10.00"}, {"amount": "50.00"}])
    refund_id = _unclear(rig, order, amount="10.00", currency="USD")
    for _ in range(3):
        rig.let_an_hour_pass()
        rig.run_queued()
    assert rig.load(refund_id).state is State.REFUNDABLE
    rig.simulator.set_flags(refund_list_lag_ms=0)
    rig.run_until_idle()
    assert rig.load(refund_id).state is State.REFUNDED
    assert _moved(order) == ["10.00"]


def test_after_an_unclear_call_nobody_is_asked_to_pay_manually(rig: Rig) -> None:
    """That call may already have paid it, even if Wix does not show it."""
    payments = [{"amount": "10.00"}, {"amount": "50.00", "offline": True}]
    order = rig.order(AFTER, payments=payments)
    refund_id = _unclear(rig, order, amount="10.00", currency="USD")
    order.refunds.clear()
    order.payments[0].non_refundable = "ALREADY_REFUNDED"
    rig.run_until_idle()
    reason = rig.load(refund_id).reason
    assert (reason["reason"], "USD" in reason["detail"]) == ("outcome_unknown", False)
    # A person checked and confirms that it had no effect: now the amount to pay is known.
    assert rig.replay(refund_id, operator="ann", not_done=True)
    rig.run_until_idle()
    assert "pay 10.00 USD" in rig.load(refund_id).reason["detail"]


@pytest.mark.parametrize("chars", [30, 100, 200])
def test_a_refund_is_recognised_even_if_wix_truncates_its_reason(rig: Rig, chars: int) -> None:
    """The fingerprint comes first."""
    rig.simulator.set_flags(reason_chars=chars)
    order = rig.order(AFTER, payments=[{"amount": "100.00"}])
    reason = "the parcel arrived damaged 📦 " * 8
    refund_id = _unclear(rig, order, amount="10.00", currency="USD", reason=reason)
    rig.run_until_idle()
    assert rig.load(refund_id).state is State.REFUNDED
    assert _moved(order) == ["10.00"]


def test_a_reason_is_never_too_long_for_wix(rig: Rig) -> None:
    """At most 200 UTF-16 units, and no character is cut in half."""
    order = rig.order(AFTER)
    rig.run(order, reason="📦" * 120)
    reason = order.refunds[0]["details"]["reason"]
    assert len(reason.encode("utf-16-le")) // 2 <= 200
    assert reason.endswith("📦")


def test_a_full_refund_covers_what_the_merchant_has_just_left(rig: Rig) -> None:
    """The merchant refunds a part between our reading and our call: the rest is refunded."""
    order = rig.order(AFTER, payments=[{"amount": "100.00"}])
    _merchant_is_first(rig, order)
    refund = rig.run(order)
    assert refund.state is State.REFUNDED
    assert _moved(order) == ["30.00", "70.00"]


def test_a_partial_refund_that_no_longer_fits_says_what_is_left(rig: Rig) -> None:
    """80.00 of 100.00 is requested, but the merchant has just refunded 30.00."""
    order = rig.order(AFTER, payments=[{"amount": "100.00"}])
    _merchant_is_first(rig, order)
    refund = rig.run(order, amount="80.00", currency="USD")
    assert refund.reason["reason"] == "amount_exceeds_refundable"
    assert refund.reason["detail"] == "80.00 requested, 70.00 left"


def test_the_amount_of_the_outcome_is_what_the_provider_paid(rig: Rig) -> None:
    """The part that the provider refused is not included."""
    order = rig.order(AFTER, payments=[{"amount": "20.00"}, {"amount": "7.00"}])
    order.payments[1].outcome = "FAILED"
    refund = rig.run(order)
    assert refund.reason["reason"] == "refund_mixed"
    assert refund.facts.refund_amount == "20.00"


def _dies_as_unknown(rig: Rig, order: Order, **asked: str) -> str:
    """Bring about a dead letter that asks about a call that never arrived."""
    rig.simulator.script(Fault("drop", "submit_refund", times=4))
    refund_id = rig.request(order, **asked)
    rig.run_until_idle()
    assert rig.load(refund_id).reason["reason"] == "outcome_unknown"
    return refund_id


@pytest.mark.parametrize("buried", [False, True])
def test_what_a_person_ruled_out_does_not_cover_a_newer_call(rig: Rig, buried: bool) -> None:
    """Ruled out, sent again, and unclear again: a disconnected store must not change that."""
    order = rig.order(AFTER, payments=[{"amount": "10.00"}, {"amount": "50.00"}])
    refund_id = _dies_as_unknown(rig, order, amount="10.00", currency="USD")
    rig.redis.hincrby(rig.key("refund", refund_id), "intent_at_ms", -3_600_000)
    assert rig.replay(refund_id, operator="ann", not_done=True)
    rig.simulator.set_flags(refund_list_lag_ms=10**12)
    rig.simulator.script(Fault("drop_after", "submit_refund"))
    rig.run_queued()
    assert _moved(order) == ["10.00"]
    if buried:
        reason, line = {"reason": "store_disconnected"}, {"event": "step.dead"}
        assert rig.stores.bury(rig.load(refund_id), reason=reason, line=line)
        assert rig.replay(refund_id, operator="bob")
    rig.run_until_idle()
    assert rig.load(refund_id).reason["reason"] == "outcome_unknown"
    assert _moved(order) == ["10.00"]


def test_what_a_person_ruled_out_survives_another_dead_letter(rig: Rig) -> None:
    """They replayed, then paid manually: they are not asked about the old call again."""
    payments = [{"amount": "30.00"}, {"amount": "100.00", "offline": True}]
    order = rig.order(AFTER, payments=payments)
    rig.simulator.set_flags(refund_list_lag_ms=10**12)
    order.payments[1].offline = False
    rig.simulator.script(Fault("drop", "submit_refund"))
    refund_id = rig.request(order, amount="50.00", currency="USD")
    rig.run_queued()
    rig.simulator.merchant_refunds(order.id, "dashboard", "5.00", payment_id=order.payments[0].id)
    order.payments[1].offline = True
    rig.run_until_idle()
    assert rig.load(refund_id).reason["reason"] == "outcome_unknown"
    assert rig.replay(refund_id, operator="ann", not_done=True)
    rig.run_until_idle()
    assert "pay 25.00 USD" in rig.load(refund_id).reason["detail"]
    assert rig.replay(refund_id, operator="ann", manual_done=True)
    rig.run_queued()
    rig.let_an_hour_pass()
    rig.run_queued()
    # Although the list still lags; what it lacks was saved first.
    assert _moved(order) == ["5.00", "25.00", "25.00"]
    rig.simulator.set_flags(refund_list_lag_ms=0)
    rig.run_until_idle()
    assert rig.load(refund_id).state is State.REFUNDED


def test_a_call_that_was_ruled_out_is_not_asked_about_again(rig: Rig) -> None:
    """If the merchant has refunded the order, the refund ends with that reason."""
    order = rig.order(AFTER, payments=[{"amount": "10.00"}])
    refund_id = _dies_as_unknown(rig, order)
    rig.simulator.merchant_refunds(order.id, "dashboard")
    assert rig.replay(refund_id, operator="ann", not_done=True)
    rig.run_until_idle()
    assert rig.load(refund_id).reason["reason"] == "already_refunded"


def test_after_a_call_was_ruled_out_a_person_may_be_asked_to_pay(rig: Rig) -> None:
    """Wix expects an external refund, and no earlier call can be the reason."""
    order = rig.order(AFTER, payments=[{"amount": "10.00"}])
    refund_id = _dies_as_unknown(rig, order)
    data, code = {"paymentId": order.payments[0].id}, "EXTERNAL_REFUND_EXPECTED"
    rig.simulator.script(Fault("status", "submit_refund", status=428, code=code, data=data))
    assert rig.replay(refund_id, operator="ann", not_done=True)
    rig.run_until_idle()
    assert rig.load(refund_id).reason["reason"] == "manual_payment"


@pytest.mark.parametrize("monetary", [True, False])
def test_a_refunded_gift_card_does_not_hide_our_refund(rig: Rig, monetary: bool) -> None:
    """What the list lacks is computed for each payment, not for the sum."""
    gift_card = {"amount": "20.00", "kind": "gift_card"}
    order = rig.order(AFTER, payments=[gift_card, {"amount": "10.00"}, {"amount": "50.00"}])
    rig.simulator.set_flags(gift_card_monetary=monetary)
    rig.simulator.merchant_refunds(order.id, "dashboard", payment_id=order.payments[0].id)
    order.refunds[0]["_created_ms"] = 0
    rig.simulator.set_flags(refund_list_lag_ms=10**11)
    refund_id = _unclear(rig, order, amount="10.00", currency="USD")
    rig.run_until_idle()
    assert rig.load(refund_id).reason["reason"] == "outcome_unknown"
    assert _moved(order) == ["20.00", "10.00"]


def test_looks_at_a_provider_do_not_use_up_those_at_a_changed_order(rig: Rig) -> None:
    """The provider was down for a while; then the merchant refunded a part just before our call."""
    order = rig.order(AFTER, payments=[{"amount": "100.00", "non_refundable": "PROVIDER_IS_DOWN"}])
    refund_id = rig.request(order)
    for _ in range(4):
        rig.run_queued()
        rig.let_an_hour_pass()
    order.payments[0].non_refundable = ""
    _merchant_is_first(rig, order)
    rig.run_until_idle()
    assert rig.load(refund_id).state is State.REFUNDED
    assert _moved(order) == ["30.00", "70.00"]


def test_a_final_reason_after_an_unclear_call_is_not_a_rejection(rig: Rig) -> None:
    """Our own call may be the cause, and a rejection could not be replayed."""
    order = rig.order(AFTER)
    rig.simulator.script(Fault("lost_reply", "submit_refund"))
    refund_id = rig.request(order)
    rig.run_queued()
    order.payments[0].non_refundable = "FORBIDDEN"
    order.refunds.clear()
    rig.run_until_idle()
    refund = rig.load(refund_id)
    assert (refund.state, refund.reason["reason"]) == (State.DEAD, "outcome_unknown")


def test_a_refund_older_than_our_job_is_not_taken_for_ours(rig: Rig) -> None:
    """The worker was killed before our first call, and the order has a refund without a reason."""
    order = rig.order(AFTER, amounts=("100.00", "50.00"))
    day_before = int(time.time() * 1000) - 86_400_000
    rig.simulator.clock_ms = lambda: day_before
    parts = [{"paymentId": order.payments[1].id}]
    rig.simulator._rule("submit_refund", order, {"paymentRefunds": parts})
    refund_id = rig.request(order)
    rig._one("refunds")
    rig._one("steps")
    rig.ledger.claim(refund_id, Transition.SUBMIT_REFUND, rig.delivery("killed", "m-x"))
    rig.run_until_idle()
    assert rig.load(refund_id).state is State.REFUNDED
    assert len(order.refunds) == 2


def test_a_replay_confirms_that_earlier_refunds_are_not_ours(rig: Rig) -> None:
    """A person has checked: the refund without a reason is the merchant's."""
    rig.simulator.set_flags(fingerprint_kept=False)
    order = rig.order(AFTER, amounts=("100.00", "50.00"))
    rig.simulator.script(Fault("status", "submit_refund", status=503))
    refund_id = rig.request(order)
    rig.run_queued()
    parts = [{"paymentId": order.payments[1].id}]
    rig.simulator._rule("submit_refund", order, {"paymentRefunds": parts})
    rig.run_until_idle()
    assert rig.load(refund_id).reason["reason"] == "outcome_unknown"
    assert rig.replay(refund_id, operator="ann", not_done=True)
    rig.run_until_idle()
    assert rig.load(refund_id).state is State.REFUNDED
    assert len(order.refunds) == 2
