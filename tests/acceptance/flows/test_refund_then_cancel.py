"""Orders placed before the cutoff that Wix could refund: refunded first, then cancelled."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from statemachine.flows import State
from tests.support.refunded_first import last_told, sums_told
from tests.support.rig import BEFORE, Rig, settings_for
from worker.refund.money import money
from worker.simulator import Simulator


@pytest.fixture
def rig(redis_url: str, simulator: Simulator) -> Iterator[Rig]:
    """A worker that refunds before it cancels."""
    settings = settings_for(redis_url, cancellation_refundable="refund_then_cancel")
    rig = Rig(settings, simulator)
    yield rig
    rig.close()


def _states(rig: Rig, refund_id: str) -> list[str]:
    lines = [line for line in rig.ledger.history(refund_id) if line["event"] == "step.done"]
    return [line["to_state"] for line in lines]


def test_an_unfulfilled_order_is_refunded_and_then_cancelled(rig: Rig) -> None:
    """In this order, each once; upstream is told that Wix has returned all."""
    order = rig.order(BEFORE)
    refund = rig.run(order)
    assert _states(rig, refund.refund_id) == [
        "refund_due",
        "refund_awaited",
        "unfulfilled",
        "cancelled",
    ]
    assert order.effects == ["submit_refund", "cancel_order"]
    assert (refund.facts.effect, refund.flow) == ("order_cancelled", "cancellation")
    assert sums_told(rig, refund.refund_id) == ("101.40", "0.00")
    assert last_told(rig, refund.refund_id)["amount"] == money("101.40", "USD")


@pytest.mark.parametrize(("currency", "amount"), [("JPY", "5070"), ("KWD", "12.345")])
def test_a_fulfilled_order_is_refunded_before_it_is_unfulfilled(
    rig: Rig, currency: str, amount: str
) -> None:
    """Nothing is taken back from the buyer before the money is on its way."""
    order = rig.order(BEFORE, fulfillments=2, currency=currency, payments=[{"amount": amount}])
    refund = rig.run(order)
    assert order.effects == [
        "submit_refund",
        "delete_fulfillment",
        "delete_fulfillment",
        "cancel_order",
    ]
    nothing = "0" if currency == "JPY" else "0.000"
    assert sums_told(rig, refund.refund_id) == (amount, nothing)


def test_the_order_is_not_cancelled_before_the_refund_has_settled(rig: Rig) -> None:
    """A cancel cannot be undone, and the provider may still refuse the refund."""
    rig.simulator.set_flags(provider_ms=10**12)
    order = rig.order(BEFORE)
    refund_id = rig.request(order)
    for _ in range(4):
        rig.run_queued()
        rig.let_an_hour_pass()
    assert (rig.load(refund_id).state, order.cancellations) == (State.REFUND_AWAITED, 0)
    rig.simulator.set_flags(provider_ms=0)
    rig.run_until_idle()
    assert rig.load(refund_id).state is State.CANCELLED


@pytest.mark.parametrize(
    ("payments", "effects"),
    [
        ([{"amount": "80.00", "offline": True}], ["cancel_order"]),
        ([{"amount": "80.00", "authorized": True}], ["void_payments", "cancel_order"]),
        ([{"amount": "80.00", "non_refundable": "DISABLED_BY_PROVIDER"}], ["cancel_order"]),
        ([], ["cancel_order"]),
        (
            [{"amount": "30.00"}, {"amount": "80.00", "authorized": True}],
            ["submit_refund", "void_payments", "cancel_order"],
        ),
        ([{"amount": "30.00", "kind": "membership"}], ["submit_refund", "cancel_order"]),
        ([{"amount": "30.00", "kind": "gift_card"}], ["submit_refund", "cancel_order"]),
    ],
)
def test_only_what_wix_could_refund_itself_is_refunded_first(
    rig: Rig, payments: list[Mapping[str, Any]], effects: list[str]
) -> None:
    """All other orders are cancelled as with any other setting."""
    order = rig.order(BEFORE, payments=payments)
    assert rig.run(order).state is State.CANCELLED
    assert order.effects == effects


def test_an_order_on_or_after_the_cutoff_is_not_cancelled(rig: Rig) -> None:
    """The setting is about older orders only."""
    order = rig.order()
    assert rig.run(order).state is State.REFUNDED
    assert order.cancellations == 0


def test_a_part_of_an_old_order_is_still_refused(rig: Rig) -> None:
    """A cancel is always about the whole order."""
    order = rig.order(BEFORE)
    refund = rig.run(order, amount="12.00", currency="USD")
    assert refund.reason["reason"] == "partial_needs_standard_refund"
    assert order.effects == []


@pytest.mark.parametrize("restock", [True, False])
def test_units_are_restocked_once(rig: Rig, *, restock: bool) -> None:
    """By the cancel, and not by the refund as well."""
    order = rig.order(BEFORE)
    rig.run(order, restock=restock)
    assert [line.restocked for line in order.lines] == [
        line.quantity * restock for line in order.lines
    ]


def test_a_payment_that_wix_cannot_refund_is_left_to_be_paid_back(rig: Rig) -> None:
    """As after any cancellation; the event names it."""
    blocked = {"amount": "7.77", "non_refundable": "DISABLED_BY_PROVIDER"}
    order = rig.order(BEFORE, payments=[{"amount": "60.00"}, blocked])
    refund = rig.run(order)
    assert refund.state is State.CANCELLED
    assert sums_told(rig, refund.refund_id) == ("60.00", "7.77")
    [missing] = last_told(rig, refund.refund_id)["not_refunded"]
    assert (missing["amount"], missing["reason"]) == ("7.77", "refund_disabled")


def test_a_manual_payment_that_is_only_recorded_is_left_to_be_paid_back(rig: Rig) -> None:
    """Nobody has confirmed it, so the record at Wix does not count."""
    order = rig.order(BEFORE, payments=[{"amount": "60.00"}, {"amount": "9.10", "offline": True}])
    refund = rig.run(order, manual_payments="record")
    assert sums_told(rig, refund.refund_id) == ("60.00", "9.10")


def test_a_person_pays_a_manual_payment_first(rig: Rig) -> None:
    """As in every refund; after the confirmation nothing is left to pay."""
    order = rig.order(BEFORE, payments=[{"amount": "60.00"}, {"amount": "9.10", "offline": True}])
    refund = rig.run(order)
    assert (refund.reason["reason"], order.effects) == ("manual_payment", [])
    assert rig.replay(refund.refund_id, operator="ann", manual_done=True)
    rig.run_until_idle()
    assert rig.load(refund.refund_id).state is State.CANCELLED
    assert sums_told(rig, refund.refund_id) == ("60.00", "0.00")
