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


def test_refundability_shows_every_part(wix: Wix) -> None:
    """Payments, lines, shipping, fees, and their sum (documented)."""
    order = _rich(wix)
    answer = wix.refundability(order)
    kinds = [(p["payment"]["paymentMethod"], p["refundable"]) for p in answer["payments"]]
    assert kinds == [("CreditCard", True), ("GiftCard", True)]
    assert answer["paymentsSummary"]["monetary"]["maxRefund"]["amount"] == "138.40"
    assert [line["availableRefundQuantity"] for line in answer["lineItems"]] == [2, 3]
    assert answer["shipping"]["availableRefundAmount"]["amount"] == "5.00"
    assert answer["additionalFees"][0]["availableRefundAmount"]["amount"] == "2.00"


def test_refunded_items_are_no_longer_available(wix: Wix) -> None:
    """Quantities and amounts, of settled and of pending refunds."""
    wix.simulator.set_flags(provider_ms=1_000)
    order = _rich(wix)
    items = {
        "lineItems": [_line(order, 0, 1)],
        "shipping": {"amount": {"amount": "2.00"}},
        "additionalFees": [{"additionalFeeId": order.fees[0].id}],
    }
    details = wix.refund(order, "54.70", refundItems=items).json()["refund"]["details"]
    assert (details["shippingIncluded"], details["shipping"]["amount"]["amount"]) == (True, "2.00")
    for pause_ms in (0, 1_000):
        wix.now_ms += pause_ms
        answer = wix.refundability(order)
        assert [line["refundedQuantity"] for line in answer["lineItems"]] == [1, 0]
        assert answer["shipping"]["availableRefundAmount"]["amount"] == "3.00"
        assert answer["additionalFees"][0]["availableRefundAmount"]["amount"] == "0.00"
    assert wix.get(order)["lineItems"][0]["refundQuantity"] == 1


def test_items_of_a_failed_refund_are_available_again(wix: Wix) -> None:
    """FAILED, with the provider's code; the amount can be refunded again."""
    order = _rich(wix)
    order.payments[0].outcome = "FAILED"
    wix.refund(order, "50.70", refundItems={"lineItems": [_line(order, 0, 1)]})
    answer = wix.refundability(order)
    assert answer["lineItems"][0]["availableRefundQuantity"] == 2
    assert answer["payments"][0]["payment"]["monetary"]["maxRefund"]["amount"] == "100.00"
    refund = wix.transactions(order)["refunds"][0]
    info = refund["transactions"][0]["refundStatusInfo"]
    assert info["paymentGatewayReasonCode"] == "3025"
    assert (refund["summary"]["failedRefundAmount"]["amount"], refund["summary"]["pending"]) == (
        "50.70",
        False,
    )


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


def test_gift_cards_and_memberships_are_refunded_in_full_and_voided(wix: Wix) -> None:
    """Never in part; their status is VOIDED, not REFUNDED (documented)."""
    payments = [{"amount": "40.00", "kind": "gift_card"}, {"amount": "60.00", "kind": "membership"}]
    order = wix.order(payments=payments)
    for amounts in (("39.99", None), (None, "1.00")):
        answer = wix.refund(order, *amounts)
        assert code(answer) == (400, "INVALID_PAYMENT_REFUND_AMOUNT")
    assert wix.refund(order, None, None).status_code == 200
    shown = wix.transactions(order)["payments"]
    assert [payment["status"] for payment in shown] == ["VOIDED", "VOIDED"]
    assert shown[0]["giftcardPaymentDetails"]["voided"] is True
    assert shown[1]["membershipPaymentDetails"]["voided"] is True
    assert wix.get(order)["paymentStatus"] == "FULLY_REFUNDED"


def test_how_gift_cards_are_shown_can_be_switched(wix: Wix) -> None:
    """With amounts or without (unknown); a membership never has amounts."""
    payments = [{"amount": "40.00", "kind": "gift_card"}, {"amount": "60.00", "kind": "membership"}]
    order = wix.order(payments=payments)
    card, membership = (p["payment"] for p in wix.refundability(order)["payments"])
    assert ("monetary" in card, "monetary" in membership) == (True, False)
    assert membership["membership"]["refundableLineItemIds"]
    wix.simulator.set_flags(gift_card_monetary=False)
    assert "monetary" not in wix.refundability(order)["payments"][0]["payment"]


@pytest.mark.parametrize("reason", ["EXPIRED", "NOT_SUPPORTED", "REQUIRES_CARD_READER", "NEW_WORD"])
def test_payments_that_the_provider_cannot_refund_are_for_the_merchant(
    wix: Wix, reason: str
) -> None:
    """ManuallyRefundable with a link; only an external refund is accepted (partly inferred)."""
    link = "https://provider.example/refund"
    payment = {"amount": "10.00", "manual": reason, "provider_link": link}
    order = wix.order(payments=[payment])
    shown = wix.refundability(order)["payments"][0]
    assert (shown["manuallyRefundable"], shown["providerLink"]) == ({"reason": reason}, link)
    answer = wix.refund(order, "10.00")
    assert code(answer) == (428, "EXTERNAL_REFUND_EXPECTED")
    assert found(answer)["amount"] == {"amount": "10.00"}


def test_offline_payments_may_look_refundable(wix: Wix) -> None:
    """Then only the refund call refuses them (unknown)."""
    order = wix.order(payments=[{"amount": "10.00", "offline": True}])
    assert wix.refundability(order)["payments"][0]["manuallyRefundable"] == {"reason": "OFFLINE"}
    wix.simulator.set_flags(offline_shows_refundable=True)
    assert wix.refundability(order)["payments"][0]["refundable"] is True
    assert code(wix.refund(order, "10.00")) == (428, "EXTERNAL_REFUND_EXPECTED")


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
    ("flag", "amount", "left"),
    [("reduces", "40.00", "61.40"), ("blocks", "40.00", ""), ("reduces", "101.40", "")],
)
def test_a_chargeback_leaves_less_to_refund(wix: Wix, flag: str, amount: str, left: str) -> None:
    """AMOUNT_OFFSET_BY_CHARGEBACK if nothing is left; for a partial chargeback it is unknown."""
    wix.simulator.set_flags(chargeback=flag)
    order = wix.order()
    wix.simulator.bank_charges_back(order.id, amount)
    shown = wix.refundability(order)["payments"][0]
    if left:
        assert shown["payment"]["monetary"]["maxRefund"]["amount"] == left
        assert code(wix.refund(order, "61.41")) == (400, "INVALID_PAYMENT_REFUND_AMOUNT")
    else:
        assert shown["nonRefundable"] == {"reason": "AMOUNT_OFFSET_BY_CHARGEBACK"}
    assert wix.get(order)["balanceSummary"]["chargeback"]["amount"] == amount


@pytest.mark.parametrize(
    ("payment", "reason"),
    [
        ({"amount": "0"}, "ZERO_PRICE"),
        ({"amount": "5", "status": "PENDING"}, "NOT_PAID"),
        ({"amount": "5", "status": "DECLINED"}, "NOT_PAID"),
        ({"amount": "5", "authorized": True}, "NOT_PAID"),
        ({"amount": "5", "non_refundable": "PROVIDER_IS_DOWN"}, "PROVIDER_IS_DOWN"),
    ],
)
def test_what_was_not_paid_is_not_refundable(
    wix: Wix, payment: dict[str, Any], reason: str
) -> None:
    """With the same reason in refundability and in the refusal (documented)."""
    order = wix.order(payments=[payment])
    shown = wix.refundability(order)["payments"][0]
    assert shown["nonRefundable"] == {"reason": reason}
    answer = wix.refund(order, "5")
    assert code(answer) == (428, "PAYMENT_NOT_REFUNDABLE")
    assert found(answer) == {"paymentId": order.payments[0].id, "nonRefundableReason": reason}


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
