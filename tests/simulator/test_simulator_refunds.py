"""Refunds at the simulator: what can be refunded, and the codes of refusals. W60 to W65."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.wix_caller import NOBODY, Wix, code, found, violations
from worker.simulator.world.orders import Order

LINES = [
    {"price": "48.75", "quantity": 2, "tax": "3.90"},
    {"name": "Mug", "price": "10.00", "quantity": 3},
]


@pytest.fixture
def wix() -> Wix:
    """A simulator with one store."""
    return Wix()


def _rich(wix: Wix, **more: Any) -> Order:
    """Return an order of two lines, shipping and a fee, paid by card and gift card: 138.40."""
    payments = [{"amount": "100.00"}, {"amount": "38.40", "kind": "gift_card"}]
    given = {"lines": LINES, "shipping": "5.00", "fees": [{"amount": "2.00"}], "payments": payments}
    return wix.order(**given | more)


def _line(order: Order, index: int, quantity: int) -> dict[str, Any]:
    return {"lineItemId": order.lines[index].id, "quantity": quantity}


def test_a_calculated_refund_adds_up(wix: Wix) -> None:
    """Price, tax, shipping and fee; without an amount all that is left."""
    order = _rich(wix)
    items = {
        "lineItems": [_line(order, 0, 1), _line(order, 1, 2)],
        "shipping": {},
        "additionalFees": [{"additionalFeeId": order.fees[0].id, "amount": {"amount": "0.50"}}],
    }
    answer = wix.bill("calculate-refund", order, refundItems=items).json()
    amounts = {name: price["amount"] for name, price in answer["summary"].items()}
    assert answer["available"] is True
    assert amounts == {
        "total": "76.20",
        "tax": "1.95",
        "discount": "0",
        "subtotal": "74.25",
        "lineItemsSubtotal": "68.75",
        "additionalFeesTotal": "0.50",
    }
    shipping = answer["calculatedRefundItems"]["shipping"]
    assert shipping["shipping"]["amount"]["amount"] == "5.00"
    assert order.refunds == []


def test_a_discount_is_shared_by_the_lines(wix: Wix) -> None:
    """A line costs less than its price."""
    lines = [{"price": "30.00"}, {"price": "10.00", "quantity": 2}]
    order = wix.order(lines=lines, discount="5.00")
    items = {"lineItems": [_line(order, 1, 1)]}
    answer = wix.bill("calculate-refund", order, refundItems=items).json()
    assert answer["summary"]["total"]["amount"] == "9.00"


def test_a_calculation_that_is_refused_has_status_200(wix: Wix) -> None:
    """With notAvailable, and an error for each item (documented)."""
    order = wix.order(lines=LINES)
    items = {
        "lineItems": [_line(order, 0, 3), {"lineItemId": NOBODY, "quantity": 1}],
        "shipping": {},
        "additionalFees": [{"additionalFeeId": NOBODY}],
    }
    answer = wix.bill("calculate-refund", order, refundItems=items)
    errors = answer.json()["notAvailable"]["errors"]
    seen = [(next(iter(error)), error["error"]["applicationError"]["code"]) for error in errors]
    assert answer.status_code == 200
    assert seen == [
        ("lineItem", "INVALID_LINE_ITEM_REFUND_QUANTITY"),
        ("lineItem", "LINE_ITEM_NOT_FOUND"),
        ("additionalFee", "ADDITIONAL_FEE_NOT_FOUND"),
        ("shipping", "SHIPPING_NOT_FOUND"),
    ]


#: What is requested in addition to 10.00 of the first payment, and the refusal.
WRONG_ITEMS: list[tuple[str, dict[str, Any], tuple[int, str]]] = [
    (
        "refundItems",
        {"lineItems": [{"lineItemId": "FIRST", "quantity": 3}]},
        (400, "INVALID_LINE_ITEM_REFUND_QUANTITY"),
    ),
    (
        "refundItems",
        {"lineItems": [{"lineItemId": NOBODY, "quantity": 1}]},
        (404, "LINE_ITEM_NOT_FOUND"),
    ),
    (
        "refundItems",
        {"additionalFees": [{"additionalFeeId": "FEE", "amount": {"amount": "2.01"}}]},
        (400, "INVALID_ADDITIONAL_FEE_REFUND_AMOUNT"),
    ),
    (
        "refundItems",
        {"additionalFees": [{"additionalFeeId": NOBODY}]},
        (404, "ADDITIONAL_FEE_NOT_FOUND"),
    ),
    (
        "refundItems",
        {"shipping": {"amount": {"amount": "5.01"}}},
        (400, "INVALID_SHIPPING_REFUND_AMOUNT"),
    ),
    (
        "restock",
        {"lineItems": [{"lineItemId": "FIRST", "quantity": 3}]},
        (400, "INVALID_LINE_ITEM_RESTOCK_QUANTITY"),
    ),
    (
        "restock",
        {"lineItems": [{"lineItemId": NOBODY, "quantity": 1}]},
        (404, "LINE_ITEM_NOT_FOUND"),
    ),
    (
        "restock",
        {"lineItems": [{"lineItemId": "SECOND", "quantity": 1}]},
        (400, "PARTIAL_REFUND_FOR_MULTIPLE_LOCATIONS_NOT_ALLOWED"),
    ),
]


@pytest.mark.parametrize(("where", "items", "expected"), WRONG_ITEMS)
def test_wrong_items_are_refused_with_their_code_and_no_money_moves(
    wix: Wix, where: str, items: dict[str, Any], expected: tuple[int, str]
) -> None:
    """With the codes of W65, and data that shows what was wrong."""
    order = _rich(wix)
    order.lines[1].locations = 2
    names = {"FIRST": order.lines[0].id, "SECOND": order.lines[1].id, "FEE": order.fees[0].id}
    asked = {
        name: [{k: names.get(str(v), v) for k, v in item.items()} for item in value]
        if isinstance(value, list)
        else value
        for name, value in items.items()
    }
    body = {"refundItems": asked} if where == "refundItems" else {"sideEffects": {"restock": asked}}
    answer = wix.refund(order, "10.00", **body)
    assert code(answer) == expected
    assert found(answer)
    assert order.refunds == []
    assert wix.book(order)["restocked"] == {}


def test_shipping_of_an_order_without_shipping_is_not_found(wix: Wix) -> None:
    """404 (documented)."""
    answer = wix.refund(wix.order(), "1.00", refundItems={"shipping": {}})
    assert code(answer) == (404, "SHIPPING_NOT_FOUND")


def test_side_effects_happen_only_when_asked(wix: Wix) -> None:
    """Restocking and e-mails; the books show both."""
    quiet, loud = _rich(wix), _rich(wix)
    wix.refund(quiet, "10.00")
    effects = {
        "restock": {"lineItems": [_line(loud, 1, 2)]},
        "notifications": {"sendCustomerEmail": True},
    }
    wix.refund(loud, "10.00", sideEffects=effects)
    assert (wix.book(quiet)["restocked"], wix.book(quiet)["emails"]) == ({}, [])
    assert wix.book(loud)["restocked"] == {loud.lines[1].id: 2}
    assert wix.book(loud)["emails"] == ["refund"]
    assert wix.get(loud)["lineItems"][1]["restockQuantity"] == 2


def test_one_call_is_all_or_nothing(wix: Wix) -> None:
    """If one payment is refused, the other is not refunded either."""
    order = wix.order(amounts=("60.00", "40.00"))
    assert code(wix.refund(order, "60.00", "40.01")) == (400, "INVALID_PAYMENT_REFUND_AMOUNT")
    assert order.refunds == []


def test_the_provider_may_end_payments_differently(wix: Wix) -> None:
    """One succeeds and another fails, or has an unknown status."""
    order = wix.order(amounts=("60.00", "30.00", "10.00"))
    for payment, outcome in zip(order.payments, ("SUCCEEDED", "FAILED", "HELD"), strict=True):
        payment.outcome = outcome
    wix.refund(order, "60.00", "30.00", "10.00")
    refund = wix.transactions(order)["refunds"][0]
    seen = [transaction["refundStatus"] for transaction in refund["transactions"]]
    assert seen == ["SUCCEEDED", "FAILED", "HELD"]
    assert wix.get(order)["paymentStatus"] == "PARTIALLY_REFUNDED"
    assert wix.book(order)["refunded"] == "60.00"


def test_a_status_can_go_back_and_stays_there(wix: Wix) -> None:
    """From SUCCEEDED to PENDING, whatever the time; then to another end."""
    order = wix.order()
    wix.refund(order, "101.40")
    assert wix.book(order)["refunded"] == "101.40"
    wix.simulator.provider_says(order.id, "PENDING")
    wix.now_ms += 10**9
    assert (wix.book(order)["refunded"], wix.book(order)["refund_pending"]) == ("0", "101.40")
    wix.simulator.provider_says(order.id, "FAILED")
    assert wix.get(order)["paymentStatus"] == "PAID"


@pytest.mark.parametrize(
    ("currency", "good", "bad"),
    [("JPY", "1000", "10.5"), ("KWD", "10.125", "10.1255"), ("USD", "10.10", "10.101")],
)
def test_amounts_have_the_digits_of_their_currency(
    wix: Wix, currency: str, good: str, bad: str
) -> None:
    """None, two or three; more decimals are refused, or not (unknown)."""
    order = wix.order(currency=currency, amounts=("5000",))
    answer = wix.refund(order, bad)
    at = "paymentRefunds[0].amount.amount"
    assert violations(answer) == [(at, "DECIMAL_MAX_SCALE")]
    assert wix.refund(order, good).status_code == 200
    wix.simulator.set_flags(amount_scale="ignored")
    assert wix.refund(order, bad).status_code == 200


def test_items_may_have_to_add_up(wix: Wix) -> None:
    """Whether Wix compares the items with the amounts is unknown."""
    order = _rich(wix)
    items = {"lineItems": [_line(order, 1, 1)]}
    wix.simulator.set_flags(refund_totals="checked")
    assert wix.refund(order, "9.99", refundItems=items).status_code == 400
    assert wix.refund(order, "10.00", refundItems=items).status_code == 200
    wix.simulator.set_flags(refund_totals="ignored")
    assert wix.refund(order, "9.99", refundItems=items).status_code == 200


@pytest.mark.parametrize(("flag", "status"), [("ok", 200), ("428", 428)])
def test_refunding_a_cancelled_order_can_be_switched(wix: Wix, flag: str, status: int) -> None:
    """What Wix does is unknown."""
    wix.simulator.set_flags(refund_cancelled=flag)
    order = wix.order()
    wix.simulator.merchant_cancels(order.id)
    assert wix.refund(order, "1.00").status_code == status
