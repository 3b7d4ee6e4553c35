"""Requests are checked as documented, field by field. W3, W20 to W75."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.wix_caller import BILLING, NOBODY, Wix, code, violations
from worker.simulator import Fault

LONG = "x" * 1001


@pytest.fixture
def wix() -> Wix:
    """A simulator with one store."""
    return Wix()


def _part(**more: Any) -> dict[str, Any]:
    return {"paymentRefunds": [{"paymentId": NOBODY, "amount": {"amount": "1"}} | more]}


#: Body of refund-payments (besides a valid order id), and its violations.
REFUNDS: list[tuple[dict[str, Any], tuple[str, str]]] = [
    ({}, ("paymentRefunds", "MIN_SIZE")),
    ({"paymentRefunds": []}, ("paymentRefunds", "MIN_SIZE")),
    ({"paymentRefunds": [{"paymentId": NOBODY}] * 51}, ("paymentRefunds", "MAX_SIZE")),
    ({"paymentRefunds": {}}, ("paymentRefunds", "VALIDATION")),
    ({"paymentRefunds": [{}]}, ("paymentRefunds[0].paymentId", "REQUIRED_FIELD")),
    (_part(paymentId="p1"), ("paymentRefunds[0].paymentId", "FORMAT")),
    (_part(externalRefund="yes"), ("paymentRefunds[0].externalRefund", "VALIDATION")),
    (_part(amount="1.00"), ("paymentRefunds[0].amount", "VALIDATION")),
    (_part(amount={}), ("paymentRefunds[0].amount.amount", "REQUIRED_FIELD")),
    (_part(amount={"amount": "1E+2"}), ("paymentRefunds[0].amount.amount", "FORMAT")),
    (_part(amount={"amount": "1,00"}), ("paymentRefunds[0].amount.amount", "FORMAT")),
    (_part(amount={"amount": 1.0}), ("paymentRefunds[0].amount.amount", "FORMAT")),
    (_part(amount={"amount": "-1"}), ("paymentRefunds[0].amount.amount", "DECIMAL_GTE")),
    (_part(amount={"amount": "9" * 16}), ("paymentRefunds[0].amount.amount", "DECIMAL_LTE")),
    (_part() | {"orderId": "10001"}, ("orderId", "FORMAT")),
    (_part() | {"orderId": None}, ("orderId", "REQUIRED_FIELD")),
    (_part() | {"customerReason": "x" * 201}, ("customerReason", "MAX_LENGTH")),
    (
        _part() | {"refundItems": {"lineItems": [{"lineItemId": NOBODY, "quantity": 0}]}},
        ("refundItems.lineItems[0].quantity", "MIN"),
    ),
    (
        _part() | {"refundItems": {"lineItems": [{"lineItemId": NOBODY, "quantity": 100_001}]}},
        ("refundItems.lineItems[0].quantity", "MAX"),
    ),
    (
        _part() | {"refundItems": {"lineItems": [{"lineItemId": NOBODY, "quantity": True}]}},
        ("refundItems.lineItems[0].quantity", "VALIDATION"),
    ),
    (
        _part() | {"sideEffects": {"notifications": {"customMessage": LONG}}},
        ("sideEffects.notifications.customMessage", "MAX_LENGTH"),
    ),
]

#: Other calls: verb, path, body, violations.
CALLS: list[tuple[str, str, Any, tuple[str, str]]] = [
    ("POST", "/ecom/v1/orders/o/cancel", {"customMessage": ""}, ("customMessage", "MIN_LENGTH")),
    ("POST", "/ecom/v1/orders/o/cancel", {"customMessage": LONG}, ("customMessage", "MAX_LENGTH")),
    (
        "POST",
        "/ecom/v1/orders/o/cancel",
        {"restockAllItems": 1},
        ("restockAllItems", "VALIDATION"),
    ),
    ("GET", f"/ecom/v1/orders/{'o' * 101}", None, ("order_id", "MAX_LENGTH")),
    ("DELETE", "/ecom/v1/fulfillments/f/orders/o", None, ("fulfillment_id", "FORMAT")),
    (
        "POST",
        "/ecom/v1/payments/p/orders/o/update-payment-transaction-status",
        {"status": "APPROVED"},
        ("payment_id", "FORMAT"),
    ),
    (
        "POST",
        f"/ecom/v1/payments/{NOBODY}/orders/o/update-payment-transaction-status",
        {"status": "GONE"},
        ("status", "INVALID_ENUM_VALUE"),
    ),
    ("POST", f"{BILLING}/get-order-refundability", {}, ("orderId", "REQUIRED_FIELD")),
    ("POST", f"{BILLING}/calculate-refund", {"orderId": "o"}, ("orderId", "FORMAT")),
    (
        "POST",
        f"{BILLING}/void-authorized-payments",
        {"orderId": NOBODY},
        ("paymentIds", "MIN_SIZE"),
    ),
    (
        "POST",
        f"{BILLING}/capture-authorized-payments",
        {"orderId": NOBODY, "payments": []},
        ("payments", "MIN_SIZE"),
    ),
    (
        "POST",
        "/ecom/v1/fulfillments/orders/o/create-fulfillment",
        {"fulfillment": {"status": "fulfilled"}},
        ("fulfillment.status", "INVALID_ENUM_VALUE"),
    ),
    (
        "POST",
        "/ecom/v1/orders/search",
        {"search": {"cursorPaging": {"limit": 101}}},
        ("search.cursorPaging.limit", "MAX"),
    ),
    (
        "POST",
        "/ecom/v1/orders/search",
        {"search": {"sort": [{"fieldName": "id"}] * 5}},
        ("search.sort", "MAX_SIZE"),
    ),
    ("POST", "/ecom/v1/orders/search", {"search": []}, ("search", "VALIDATION")),
    ("PATCH", "/ecom/v1/orders/o", {}, ("order", "REQUIRED_FIELD")),
]


@pytest.mark.parametrize(("change", "expected"), REFUNDS)
def test_refunds_of_another_shape_are_refused(
    wix: Wix, change: dict[str, Any], expected: tuple[str, str]
) -> None:
    """400 with field and rule, and nothing happens."""
    order = wix.order()
    answer = wix.call("POST", f"{BILLING}/refund-payments", {"orderId": order.id} | change)
    assert (answer.status_code, violations(answer)) == (400, [expected])
    assert order.refunds == []


@pytest.mark.parametrize(("verb", "path", "body", "expected"), CALLS)
def test_calls_of_another_shape_are_refused(
    wix: Wix, verb: str, path: str, body: Any, expected: tuple[str, str]
) -> None:
    """400 with field and rule, before the order is looked up."""
    answer = wix.call(verb, path, body)
    assert (answer.status_code, violations(answer)) == (400, [expected])


def test_a_violation_has_all_documented_fields(wix: Wix) -> None:
    """Field, description, rule, rule name, threshold (documented)."""
    answer = wix.call("POST", f"{BILLING}/refund-payments", {"orderId": NOBODY})
    assert answer.json()["details"]["validationError"]["fieldViolations"] == [
        {
            "field": "paymentRefunds",
            "description": "has fewer than 1",
            "violatedRule": "MIN_SIZE",
            "ruleName": None,
            "data": {"threshold": 1},
        }
    ]


def test_all_violations_are_reported_at_once(wix: Wix) -> None:
    """As the list in the documented body suggests."""
    body = {"paymentRefunds": [{"paymentId": "p"}, {}], "customerReason": "x" * 201}
    answer = wix.call("POST", f"{BILLING}/refund-payments", body)
    assert violations(answer) == [
        ("orderId", "REQUIRED_FIELD"),
        ("paymentRefunds[0].paymentId", "FORMAT"),
        ("paymentRefunds[1].paymentId", "REQUIRED_FIELD"),
        ("customerReason", "MAX_LENGTH"),
    ]


def test_the_limits_themselves_are_fine(wix: Wix) -> None:
    """50 payments, 200 characters, zero, 15 digits: only business rules apply to them."""
    order = wix.order(amounts=["1.00"] * 50)
    answer = wix.refund(order, *["1.00"] * 50, customerReason="é" * 200)
    assert answer.status_code == 200
    assert code(wix.refund(wix.order(), "0")) == (400, "INVALID_PAYMENT_REFUND_AMOUNT")
    assert code(wix.refund(wix.order(), "9" * 15)) == (400, "INVALID_PAYMENT_REFUND_AMOUNT")


@pytest.mark.parametrize(("flag", "status"), [("ignored", 200), ("400", 400)])
def test_undocumented_fields_can_be_refused(wix: Wix, flag: str, status: int) -> None:
    """FIELD_NOT_ALLOWED, or ignored (unknown)."""
    wix.simulator.set_flags(unknown_fields=flag)
    answer = wix.call("POST", f"/ecom/v1/orders/{wix.order().id}/cancel", {"reason": "x"})
    assert answer.status_code == status
    if status == 400:
        assert violations(answer) == [("reason", "FIELD_NOT_ALLOWED")]


def test_a_body_that_is_no_object_is_refused(wix: Wix) -> None:
    """It does not crash the simulator."""
    bodies: tuple[Any, ...] = ([], "x", 1)
    for body in bodies:
        assert wix.call("POST", f"{BILLING}/refund-payments", body).status_code == 400


@pytest.mark.parametrize("status", [500, 501, 503, 504])
def test_system_errors_are_empty(wix: Wix, status: int) -> None:
    """As documented."""
    wix.simulator.script(Fault("status", status=status))
    answer = wix.call("GET", f"/ecom/v1/orders/{wix.order().id}")
    assert (answer.status_code, answer.json()) == (status, {"message": "", "details": {}})
    assert answer.headers["x-wix-request-id"]
