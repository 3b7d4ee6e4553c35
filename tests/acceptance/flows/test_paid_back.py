"""What upstream is told of money: what Wix returned, and what somebody still has to pay back."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from typing import Any

import pytest

from statemachine.flows import State
from tests.support.rig import AFTER, BEFORE, Rig
from worker.refund.money import money
from worker.refund.outcomes import read
from worker.simulator import Fault
from worker.simulator.world.orders import Order


def _finished(rig: Rig, order: Order, **job: Any) -> dict[str, Any]:
    """Run a refund to its end; return what upstream reads of it."""
    refund = rig.run(order, **job)
    data = [
        event["data"]
        for _, event in read(rig.redis, rig.settings.namespace)
        if (event["subject"], event["type"]) == (refund.refund_id, "refund.finished")
    ]
    [finished] = data
    return finished  # type: ignore[no-any-return]  # a JSON object


def _usd(amount: str) -> dict[str, Any] | None:
    return money(amount, "USD")


def _sums(finished: dict[str, Any]) -> tuple[Any, Any]:
    return finished["moved_by_wix"], finished["to_pay_back"]


def test_a_cancelled_order_leaves_all_to_be_paid_back(rig: Rig) -> None:
    """A cancel moves no money; each payment is named with who took it."""
    order = rig.order(
        BEFORE, payments=[{"amount": "60.00"}, {"amount": "41.40", "kind": "gift_card"}]
    )
    finished = _finished(rig, order)
    assert _sums(finished) == (_usd("0.00"), _usd("101.40"))
    assert [(p["amount"], p["provider"]) for p in finished["paid"]] == [
        ("60.00", "CreditCard"),
        ("41.40", "gift card"),
    ]


@pytest.mark.parametrize(
    ("act", "moved", "left"),
    [
        (lambda rig, order: rig.simulator.merchant_refunds(order.id), "101.40", "0.00"),
        (
            lambda rig, order: rig.simulator.merchant_refunds(order.id, "", "30.00"),
            "30.00",
            "71.40",
        ),
        (
            lambda rig, order: rig.simulator.merchant_refunds(order.id, external=True),
            "0.00",
            "0.00",
        ),
        (lambda _rig, _order: None, "0.00", "101.40"),
    ],
)
def test_what_the_merchant_returned_before_counts(
    rig: Rig, act: Callable[[Rig, Order], object], moved: str, left: str
) -> None:
    """The dashboard's Cancel and Refund moves money, a plain cancel does not."""
    order = rig.order(BEFORE)
    act(rig, order)
    rig.simulator.merchant_cancels(order.id)
    finished = _finished(rig, order)
    assert finished["effect"] == "already_cancelled"
    assert _sums(finished) == (_usd(moved), _usd(left))


@pytest.mark.parametrize(
    ("currency", "amount", "nothing"),
    [("JPY", "5070", "0"), ("KWD", "12.345", "0.000"), ("EUR", "7.10", "0.00")],
)
def test_amounts_have_the_decimals_of_the_currency(
    rig: Rig, currency: str, amount: str, nothing: str
) -> None:
    """Also if the order was found cancelled, before anything else was known of it."""
    order = rig.order(BEFORE, currency=currency, payments=[{"amount": amount}])
    rig.simulator.merchant_cancels(order.id)
    told = _finished(rig, order)
    assert _sums(told) == (
        money(nothing, currency),
        money(amount, currency),
    )


def test_a_standard_refund_leaves_nothing(rig: Rig) -> None:
    """Wix moves all that was asked for, also if it is only a part."""
    finished = _finished(rig, rig.order(AFTER), amount="20.00", currency="USD")
    assert _sums(finished) == (_usd("20.00"), _usd("0.00"))
    assert [p["amount"] for p in finished["paid"]] == ["101.40"]


def test_a_recorded_payment_is_still_to_be_paid_back(rig: Rig) -> None:
    """Wix only records it; somebody has to hand over the money."""
    order = rig.order(AFTER, payments=[{"amount": "60.00"}, {"amount": "41.40", "offline": True}])
    finished = _finished(rig, order, manual_payments="record")
    assert _sums(finished) == (_usd("60.00"), _usd("41.40"))


def test_an_authorization_took_nothing(rig: Rig) -> None:
    """It is voided, and no money has to go back."""
    finished = _finished(rig, rig.order(AFTER, payments=[{"amount": "20.00", "authorized": True}]))
    assert (finished["paid"], *_sums(finished)) == ([], _usd("0.00"), _usd("0.00"))


@pytest.mark.parametrize(
    "fault", [{"status": 403}, {"status": 428, "code": "NEW"}, {"status": 503}]
)
def test_a_cancellation_does_not_depend_on_what_it_only_tells(
    rig: Rig, fault: dict[str, Any]
) -> None:
    """Without the right to read payments, or while that call fails, the sums are unknown."""
    for endpoint in ("list_transactions", "get_order_refundability"):
        rig.simulator.script(Fault("status", endpoint, times=1_000, **fault))
    order = rig.order(BEFORE)
    finished = _finished(rig, order)
    assert order.cancellations == 1
    assert (finished["paid"], *_sums(finished)) == (None, None, None)


def test_an_order_that_wix_could_refund_is_noticed(rig: Rig, log: io.StringIO) -> None:
    """It is cancelled, as the owner wants it; the log says what Wix could have returned."""
    refund = rig.run(rig.order(BEFORE))
    lines = [json.loads(line) for line in log.getvalue().splitlines()]
    [line] = [line for line in lines if line["event"] == "order.also_refundable"]
    assert (line["amount"], line["currency"]) == ("101.40", "USD")
    history = [line["event"] for line in rig.ledger.history(refund.refund_id)]
    assert history.count("order.also_refundable") == 1


def test_the_settings_can_leave_it_to_a_person(rig: Rig) -> None:
    """Nothing is changed at Wix; once the merchant has refunded it, a replay cancels."""
    strict = Rig(
        rig.settings.model_copy(update={"cancellation_refundable": "escalate"}), rig.simulator
    )
    order = strict.order(BEFORE)
    refund = strict.run(order)
    assert (refund.state, refund.reason["reason"]) == (State.DEAD, "also_refundable")
    assert order.cancellations == 0
    rig.simulator.merchant_refunds(order.id)
    assert strict.replay(refund.refund_id, operator="ann")
    strict.run_until_idle()
    assert strict.load(refund.refund_id).state is State.CANCELLED
    strict.close()


def _without_amounts(kind: str, *, of: str) -> dict[str, Any]:
    """What Wix may answer about a payment of 101.40 of which 30.00 were returned."""
    payment: dict[str, Any] = {"id": "p-1", "amount": {"amount": "101.40"}, "status": "APPROVED"}
    payment |= {kind: {}}
    part = {"paymentId": "p-1", "amount": {"amount": "30.00"}, "refundStatus": "SUCCEEDED"}
    del {"payments": payment, "refunds": part}[of]["amount"]
    refund = {"id": "r-1", "transactions": [part]}
    return {"orderTransactions": {"payments": [payment], "refunds": [refund]}}


@pytest.mark.parametrize("of", ["payments", "refunds"])
def test_a_missing_amount_makes_the_sums_unknown(rig: Rig, of: str) -> None:
    """Nobody is told to pay back too little, or what Wix has returned already."""
    body = _without_amounts("regularPaymentDetails", of=of)
    rig.simulator.script(Fault("odd", "list_transactions", body=body, times=1_000))
    finished = _finished(rig, rig.order(BEFORE))
    assert finished["to_pay_back"] is None


def test_a_membership_has_no_amount_and_leaves_the_sums_known(rig: Rig) -> None:
    """It is listed with the payments, and nothing of it can be counted."""
    body = _without_amounts("membershipPaymentDetails", of="payments")
    body["orderTransactions"]["refunds"] = []
    rig.simulator.script(Fault("odd", "list_transactions", body=body, times=1_000))
    finished = _finished(rig, rig.order(BEFORE))
    assert _sums(finished) == (_usd("0.00"), _usd("0.00"))
    assert [p["amount"] for p in finished["paid"]] == [None]


def test_a_person_decides_if_wix_does_not_say_whether_it_could_refund(rig: Rig) -> None:
    """Who wants to decide is asked; no answer does not mean no."""
    rig.simulator.script(Fault("status", "get_order_refundability", status=503, times=1_000))
    strict = Rig(
        rig.settings.model_copy(update={"cancellation_refundable": "escalate"}), rig.simulator
    )
    order = strict.order(BEFORE)
    assert strict.run(order).reason["reason"] == "also_refundable"
    assert order.cancellations == 0
    strict.close()
