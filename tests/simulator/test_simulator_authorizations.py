"""Payments in the simulator that are only authorized, or paid offline."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from tests.support.wix_caller import NOBODY, Wix, code
from worker.simulator.world.orders import Order


@pytest.fixture
def wix() -> Wix:
    """A simulator with one store."""
    return Wix()


def _cancel(wix: Wix, order: Order, **body: Any) -> httpx.Response:
    return wix.call("POST", f"/ecom/v1/orders/{order.id}/cancel", body)


def test_a_void_takes_its_time(wix: Wix) -> None:
    """PENDING, then VOIDED; until then still authorized (documented)."""
    wix.simulator.set_flags(authorization_ms=1_000)
    order = wix.order(payments=[{"amount": "5.00", "authorized": True}])
    assert code(_cancel(wix, order)) == (428, "ORDER_HAS_AUTHORIZED_TRANSACTION")
    body = {"paymentIds": [order.payments[0].id]}
    answer = wix.bill("void-authorized-payments", order, **body).json()["orderTransactions"]
    details = answer["payments"][0]["regularPaymentDetails"]["authorizationDetails"]
    assert (answer["payments"][0]["status"], details["void"]["status"]) == ("AUTHORIZED", "PENDING")
    assert code(wix.bill("void-authorized-payments", order, **body))[0] == 409
    wix.now_ms += 1_000
    assert wix.transactions(order)["payments"][0]["status"] == "VOIDED"
    assert _cancel(wix, order).status_code == 200
    assert wix.book(order)["voided"] == [order.payments[0].id]


def test_a_capture_takes_its_time_and_makes_it_a_payment(wix: Wix) -> None:
    """Then it can be refunded, and no longer voided (documented)."""
    wix.simulator.set_flags(authorization_ms=1_000)
    order = wix.order(payments=[{"amount": "5.00", "authorized": True}])
    payment = {"paymentId": order.payments[0].id}
    less = {"payments": [payment | {"amount": {"amount": "4.00"}}]}
    assert code(wix.bill("capture-authorized-payments", order, **less)) == (400, "INVALID_AMOUNT")
    whole = {"payments": [payment]}
    assert wix.bill("capture-authorized-payments", order, **whole).status_code == 200
    again = wix.bill("capture-authorized-payments", order, **whole)
    assert code(again) == (428, "PAYMENT_HAS_PENDING_CAPTURE")
    wix.now_ms += 1_000
    again = wix.bill("capture-authorized-payments", order, **whole)
    assert code(again) == (409, "PAYMENT_ALREADY_CAPTURED")
    void = wix.bill("void-authorized-payments", order, paymentIds=[order.payments[0].id])
    assert code(void) == (428, "PAYMENT_ALREADY_CAPTURED")
    assert wix.get(order)["paymentStatus"] == "PAID"
    assert wix.refund(order, "5.00").status_code == 200


@pytest.mark.parametrize(
    ("payment", "expected"),
    [
        ({}, (428, "PAYMENT_NOT_AUTHORIZED")),
        ({"voided": True}, (409, "PAYMENT_ALREADY_VOIDED")),
        (
            {"authorized": True, "non_refundable": "TRANSACTION_NOT_FOUND"},
            (404, "GATEWAY_TRANSACTION_NOT_FOUND"),
        ),
        (None, (404, "PAYMENT_NOT_FOUND")),
    ],
)
def test_voids_are_refused_with_their_codes(
    wix: Wix, payment: dict[str, Any] | None, expected: tuple[int, str]
) -> None:
    """Those of W75; PAYMENT_ALREADY_CAPTURED is tested above."""
    order = wix.order(payments=[{"amount": "5.00"} | (payment or {})])
    wanted = NOBODY if payment is None else order.payments[0].id
    answer = wix.bill("void-authorized-payments", order, paymentIds=[wanted])
    assert code(answer) == expected


def test_the_merchant_sets_the_status_of_an_offline_payment(wix: Wix) -> None:
    """The status of a card payment cannot be set."""
    waiting = {"amount": "5.00", "offline": True, "status": "PENDING_MERCHANT"}
    order = wix.order(payments=[waiting, {"amount": "1.00"}])
    for payment, status in zip(order.payments, (200, 428), strict=True):
        path = f"/ecom/v1/payments/{payment.id}/orders/{order.id}"
        path += "/update-payment-transaction-status"
        assert wix.call("POST", path, {"status": "APPROVED"}).status_code == status
    assert wix.get(order)["paymentStatus"] == "PAID"
