"""What an answer leaves out, or denies once, decides nothing: payments, orders, chargebacks."""

from __future__ import annotations

from typing import Any

import pytest

from statemachine.flows import State
from tests.support.refunded_first import last_told, moved, sums_told, with_setting
from tests.support.rig import AFTER, BEFORE, Rig
from worker.refund.money import money
from worker.simulator import Fault
from worker.simulator.world.orders import Order

#: In currencies with two, no and three decimals.
AMOUNTS = [("EUR", "17.30", "0.05"), ("JPY", "900", "41"), ("KWD", "3.125", "0.005")]


def _only(order: Order, index: int | None) -> dict[str, Any]:
    """Return a refundability that leaves out all payments but one, or all."""
    payments = []
    if index is not None:
        payment = order.payments[index]
        amounts = {name: {"amount": "0"} for name in ("refunded", "refundPending")}
        amounts |= {name: {"amount": str(payment.amount)} for name in ("paid", "maxRefund")}
        shown = {"paymentId": payment.id, "monetary": amounts}
        payments = [{"refundable": True, "payment": shown}]
    return {"payments": payments, "lineItems": []}


@pytest.mark.parametrize(("currency", "first", "second"), AMOUNTS)
@pytest.mark.parametrize("index", [None, 0, 1])
def test_a_payment_that_refundability_leaves_out_is_not_forgotten(
    rig: Rig, currency: str, first: str, second: str, index: int | None
) -> None:
    """A full refund of the rest would be told as finished, and the buyer would lack the money."""
    order = rig.order(AFTER, currency=currency, payments=[{"amount": first}, {"amount": second}])
    body = _only(order, index)
    rig.simulator.script(Fault("odd", "get_order_refundability", body=body, times=2))
    assert rig.run(order).state is State.REFUNDED
    assert sorted(moved(order)) == sorted([first, second])


def test_if_it_stays_left_out_a_person_is_asked(rig: Rig) -> None:
    """Nothing is refunded until Wix shows all payments."""
    order = rig.order(AFTER, payments=[{"amount": "5.25"}, {"amount": "9.75", "kind": "gift_card"}])
    fault = Fault("odd", "get_order_refundability", body=_only(order, 0), times=1_000)
    rig.simulator.script(fault)
    refund = rig.run(order)
    assert (refund.state, refund.reason["reason"]) == (State.DEAD, "answer_unreadable")
    assert order.refunds == []


@pytest.mark.parametrize("status", ["VOIDED", "DECLINED", "CANCELED", "PENDING"])
def test_a_payment_of_which_nothing_was_paid_may_be_left_out(rig: Rig, status: str) -> None:
    """Wix need not list it, and nothing is missing."""
    order = rig.order(AFTER, payments=[{"amount": "5.25"}, {"amount": "9.75", "status": status}])
    fault = Fault("odd", "get_order_refundability", body=_only(order, 0), times=1_000)
    rig.simulator.script(fault)
    assert rig.run(order).state is State.REFUNDED
    assert moved(order) == ["5.25"]


@pytest.mark.parametrize("wanted", ["escalate", "refund_then_cancel"])
def test_an_old_order_is_not_cancelled_because_its_payments_are_left_out(
    rig: Rig, wanted: str
) -> None:
    """Whoever wants to know what Wix could refund is asked, if the answer is not complete."""
    other = with_setting(rig, wanted)
    order = other.order(BEFORE, fulfillments=1)
    fault = Fault("odd", "get_order_refundability", body=_only(order, None), times=1_000)
    rig.simulator.script(fault)
    refund = other.run(order)
    assert (refund.state, refund.reason["reason"]) == (State.DEAD, "also_refundable")
    assert order.effects == []
    other.close()


@pytest.mark.parametrize(
    ("created", "endpoint", "code"),
    [
        (BEFORE, "cancel_order", "ORDER_NOT_FOUND"),
        (BEFORE, "cancel_order", "GONE"),
        (BEFORE, "cancel_order", ""),
        (AFTER, "submit_refund", "ORDER_NOT_FOUND"),
        (AFTER, "submit_refund", ""),
    ],
)
def test_a_call_that_denies_the_order_is_made_again(
    rig: Rig, created: str, endpoint: str, code: str
) -> None:
    """The order was read a moment before: one 404 is no answer for good."""
    order = rig.order(created, fulfillments=1)
    rig.simulator.script(Fault("status", endpoint, status=404, code=code, times=2))
    assert rig.run(order).state in {State.CANCELLED, State.REFUNDED}
    assert order.effects.count(endpoint) == 1


@pytest.mark.parametrize("code", ["ORDER_NOT_FOUND", ""])
@pytest.mark.parametrize(
    ("created", "endpoint", "effects"),
    [
        (BEFORE, "cancel_order", ["delete_fulfillment", "create_fulfillment"]),
        (AFTER, "submit_refund", []),
    ],
)
def test_an_order_that_is_there_is_never_told_as_missing(
    rig: Rig, created: str, endpoint: str, effects: list[str], code: str
) -> None:
    """Its fulfillments are recreated, and a person is asked."""
    order = rig.order(created, fulfillments=1)
    rig.simulator.script(Fault("status", endpoint, status=404, code=code, times=1_000))
    refund = rig.run(order)
    assert (refund.state, refund.reason["reason"]) == (State.DEAD, "refused_by_wix")
    assert order.effects == effects


def test_an_order_that_vanishes_before_the_refund_call_is_told_as_missing(rig: Rig) -> None:
    """All calls deny it: nothing was refunded, and upstream gets an answer."""
    order = rig.order(AFTER)
    refund_id = rig.request(order)
    rig.run_one_step()
    for endpoint in ("submit_refund", "get_order"):
        fault = Fault("status", endpoint, status=404, code="ORDER_NOT_FOUND", times=1_000)
        rig.simulator.script(fault)
    rig.run_until_idle()
    refund = rig.load(refund_id)
    assert (refund.state, refund.reason["reason"]) == (State.REJECTED, "order_not_found")


def test_an_order_that_vanishes_after_it_was_unfulfilled_is_left_to_a_person(rig: Rig) -> None:
    """What we have changed is never told as a rejection."""
    order = rig.order(BEFORE, fulfillments=1)
    refund_id = rig.request(order)
    rig.run_one_step()
    rig.run_one_step()
    assert rig.load(refund_id).state is State.UNFULFILLED
    fault = Fault("status", "get_order", status=404, code="ORDER_NOT_FOUND", times=1_000)
    rig.simulator.script(fault)
    rig.run_until_idle()
    assert rig.load(refund_id).state is State.DEAD


@pytest.mark.parametrize(("currency", "first", "second"), AMOUNTS)
def test_what_a_bank_took_back_is_not_left_to_be_paid_back(
    rig: Rig, currency: str, first: str, second: str
) -> None:
    """The buyer has it already; the other payment is still owed."""
    order = rig.order(BEFORE, currency=currency, payments=[{"amount": first}, {"amount": second}])
    rig.simulator.bank_charges_back(order.id)
    refund = rig.run(order)
    assert sums_told(rig, refund.refund_id)[1] == second


def test_a_chargeback_after_a_refund_does_not_reduce_what_others_are_owed(rig: Rig) -> None:
    """Each payment counts for itself."""
    order = rig.order(BEFORE, payments=[{"amount": "60.00"}, {"amount": "41.40"}])
    rig.simulator.merchant_refunds(order.id, "", None, order.payments[0].id)
    rig.simulator.bank_charges_back(order.id)
    assert sums_told(rig, rig.run(order).refund_id) == ("60.00", "41.40")


@pytest.mark.parametrize("status", ["REVERSED", "UNDER_REVIEW", None])
def test_only_an_approved_chargeback_counts(rig: Rig, status: str | None) -> None:
    """A reversed one is owed; of any other nobody knows."""
    charged = {"id": "c-1", "amount": {"amount": "12.00"}, "status": status}
    shown = {"status": "APPROVED", "chargebacks": [charged]}
    order = rig.order(
        BEFORE, payments=[{"amount": "12.00", "extra": {"regularPaymentDetails": shown}}]
    )
    told = last_told(rig, rig.run(order).refund_id)
    known = money("12.00", "USD") if status == "REVERSED" else None
    assert told["to_pay_back"] == known
