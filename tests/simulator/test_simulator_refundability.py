"""What the simulator shows as refundable, and what it then refunds."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.wix_caller import Wix, code, found
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
