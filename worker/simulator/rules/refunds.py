"""Refunding payments. W63 to W67."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from worker.simulator.contract.refusals import Json, Refusal
from worker.simulator.contract.validation import violation
from worker.simulator.rules.orders import Call
from worker.simulator.rules.refundability import (
    checked_fee,
    checked_line,
    checked_shipping,
    manual_reason,
    obstacle,
)
from worker.simulator.world.money import digits, money, total
from worker.simulator.world.orders import max_refund
from worker.simulator.world.payments import Payment, new_id
from worker.simulator.world.provider import advance, first_status, iso
from worker.simulator.world.views import refund_wire, transactions_wire


def submit_refund(call: Call) -> Json:
    """Refund payments: all of them, or none. There is no idempotency key. W64."""
    order = call.order
    if order.status == "CANCELED" and call.flags.refund_cancelled == "428":
        raise Refusal(428, "PAYMENT_NOT_REFUNDABLE", {"nonRefundableReason": "FORBIDDEN"})
    transactions = [
        _transaction(call, part, f"paymentRefunds[{number}]")
        for number, part in enumerate(call.body["paymentRefunds"])
    ]
    details = _items(call, transactions)
    restock = _restock(call)
    if call.flags.fingerprint_kept and call.body.get("customerReason") is not None:
        details["reason"] = _reason(call)
    refund = {
        "id": new_id(),
        "createdDate": iso(call.now_ms),
        "_created_ms": call.now_ms,
        "transactions": transactions,
        "details": details,
    }
    order.refunds.append(refund)
    for line, units in restock:
        line.restocked += units
    notifications = (call.body.get("sideEffects") or {}).get("notifications") or {}
    if notifications.get("sendCustomerEmail"):
        order.emails.append("refund")
    order.activities.append("REFUND_INITIATED")
    if call.flags.refund_answer == "settled":
        advance(order, call.flags, call.now_ms)
    shown = refund_wire(refund, order.currency)
    return {"refund": shown, "orderTransactions": transactions_wire(order)}


def _transaction(call: Call, part: Json, at: str) -> Json:
    order = call.order
    payment = order.payment(part["paymentId"])
    if payment is None:
        raise Refusal(404, "PAYMENT_NOT_FOUND", part)
    external = bool(part.get("externalRefund"))
    if reason := obstacle(order, payment, call.flags):
        found = {"paymentId": payment.id, "nonRefundableReason": reason}
        raise Refusal(428, "PAYMENT_NOT_REFUNDABLE", found)
    if manual_reason(payment) and not external:
        raise Refusal(428, "EXTERNAL_REFUND_EXPECTED", part)
    most = max_refund(order, payment)
    amount = _amount(call, part, payment, most, at)
    if not 0 < amount <= most or (payment.is_whole_only and amount != payment.amount):
        raise Refusal(400, "INVALID_PAYMENT_REFUND_AMOUNT", part)
    made: Json = {"paymentId": payment.id, "amount": money(amount, order.currency)}
    status = first_status(call.flags, external=external)
    made |= {"refundStatus": status, "externalRefund": external}
    if not external:
        made |= {"gatewayRefundId": new_id(), "providerRefundId": f"re_{len(order.refunds) + 1}"}
    return made


def _reason(call: Call) -> str:
    text = str(call.body["customerReason"])[: call.flags.reason_chars]
    if call.flags.reason_text == "masked":
        return "***"
    if call.flags.reason_text == "spaced":
        return f"{text[:12]} {text[12:]}"
    return text.upper() if call.flags.reason_text == "upper" else text


def _amount(call: Call, part: Json, payment: Payment, most: Decimal, at: str) -> Decimal:
    """Return the requested amount, or all that is left. W63."""
    wanted = part.get("amount")
    if wanted is None:
        if call.flags.amount_omitted == "400" and not payment.is_whole_only:
            raise Refusal(400, "INVALID_PAYMENT_REFUND_AMOUNT", part)
        return most
    amount = Decimal(wanted["amount"])
    check_scale(call, amount, f"{at}.amount.amount")
    return amount


def check_scale(call: Call, amount: Decimal, at: str) -> None:
    """Refuse an amount with more decimals than its currency has (unknown)."""
    scale = digits(call.order.currency)
    exponent = amount.normalize().as_tuple().exponent
    if call.flags.amount_scale == "checked" and isinstance(exponent, int) and -exponent > scale:
        problem = violation(
            at, "DECIMAL_MAX_SCALE", f"has more than {scale} decimals", threshold=scale
        )
        raise Refusal(400, violations=[problem])


def _items(call: Call, transactions: list[Json]) -> Json:
    """Return the items that the refund is for, each checked against what is left of it."""
    asked = call.body.get("refundItems") or {}
    lines = [checked_line(call.order, item) for item in asked.get("lineItems") or []]
    fees = [checked_fee(call.order, item) for item in asked.get("additionalFees") or []]
    details: Json = {
        "lineItems": [line["item"] for line in lines],
        "additionalFees": [fee["additionalFee"] for fee in fees],
        "shippingIncluded": asked.get("shipping") is not None,
    }
    parts = [*lines, *fees]
    if asked.get("shipping") is not None:
        shipping = checked_shipping(call.order, asked["shipping"])
        details["shipping"] = shipping["shipping"]
        parts.append(shipping)
    named = total(Decimal(part["summary"]["total"]["amount"]) for part in parts)
    moved = total(Decimal(t["amount"]["amount"]) for t in transactions)
    if parts and call.flags.refund_totals == "checked" and named != moved:
        raise Refusal(400, "INVALID_PAYMENT_REFUND_AMOUNT", {"expected": f"{named:f}"})
    return details


def _restock(call: Call) -> list[tuple[Any, int]]:
    """Return the lines to restock, and the number of units of each."""
    asked = (call.body.get("sideEffects") or {}).get("restock") or {}
    found = []
    for item in asked.get("lineItems") or []:
        line = call.order.line(item["lineItemId"])
        if line is None:
            raise Refusal(404, "LINE_ITEM_NOT_FOUND", item)
        if item["quantity"] > line.quantity - line.restocked:
            raise Refusal(400, "INVALID_LINE_ITEM_RESTOCK_QUANTITY", item)
        if line.locations > 1 and item["quantity"] < line.quantity:
            raise Refusal(400, "PARTIAL_REFUND_FOR_MULTIPLE_LOCATIONS_NOT_ALLOWED", item)
        found.append((line, item["quantity"]))
    return found
