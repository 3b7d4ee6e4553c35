"""What Wix does on each call: one function per endpoint. Source: wix-api.md 2 and 6.7."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from typing import Any, NamedTuple

from worker.simulator.flags import Flags
from worker.simulator.orders import Json, Order, Payment, money


class Refusal(Exception):
    """An answer other than 200."""

    def __init__(self, status: int, code: str = "", data: Json | None = None) -> None:
        super().__init__(code)
        self.status = status
        self.code = code
        self.data = data or {}


class Call(NamedTuple):
    """What a rule may look at."""

    order: Order
    body: Mapping[str, Any]
    fulfillment_id: str
    flags: Flags
    now_ms: int


def get_order(call: Call) -> Json:
    """Row 1."""
    return {"order": call.order.wire(call.now_ms)}


def cancel_order(call: Call) -> Json:
    """2.3 and 6.1: no refund, `paymentStatus` stays [I]."""
    order = call.order
    if order.status in {"PENDING", "REJECTED"}:
        raise Refusal(428, f"ORDER_IS_{order.status}")
    if any(payment.authorized for payment in order.payments):
        raise Refusal(428, "ORDER_HAS_AUTHORIZED_TRANSACTION")
    if order.status == "CANCELED":
        if call.flags.cancel_twice == "428":
            raise Refusal(428, "ORDER_ALREADY_CANCELED")
    elif order.fulfillment_status != "NOT_FULFILLED" and call.flags.cancel_fulfilled == "428":
        raise Refusal(428, "ORDER_IS_FULFILLED")
    order.status = "CANCELED"
    order.cancellations += 1
    order.activities.append("ORDER_CANCELED")
    return {"order": order.wire(call.now_ms)}


def list_fulfillments(call: Call) -> Json:
    """Row 7."""
    return call.order.wire_fulfillments()


def delete_fulfillment(call: Call) -> Json:
    """Row 11 and 6.2."""
    order = call.order
    left = [f for f in order.fulfillments if f["id"] != call.fulfillment_id]
    if len(left) == len(order.fulfillments) and call.flags.delete_twice == "404":
        raise Refusal(404)
    if call.flags.unfulfill_lag_ms and call.now_ms >= order.lags_until_ms:
        order.lagging_status = order.fulfillment_status
    order.lags_until_ms = call.now_ms + call.flags.unfulfill_lag_ms
    order.fulfillments = left
    if not left:
        order.activities.append("ORDER_NOT_FULFILLED")
    return order.wire_fulfillments()


def get_order_refundability(call: Call) -> Json:
    """2.13; maxRefund = paid - refunded - refundPending [D]."""
    return {"payments": [_refundability(call.order, payment) for payment in call.order.payments]}


def _max_refund(order: Order, payment: Payment) -> Decimal:
    return payment.amount - order.refunded(payment.id) - order.pending(payment.id)


def _obstacle(order: Order, payment: Payment) -> str:
    """The reason of 2.13 for which a payment cannot be refunded at all, or nothing."""
    if payment.non_refundable:
        return payment.non_refundable
    if order.status in {"PENDING", "REJECTED"}:
        return f"ORDER_IS_{order.status}"
    if payment.authorized:
        return "NOT_PAID"
    if order.pending(payment.id):
        return "PENDING_REFUND"
    return "ALREADY_REFUNDED" if _max_refund(order, payment) <= 0 else ""


def _refundability(order: Order, payment: Payment) -> Json:
    answer: Json = {
        "payment": {
            "paymentId": payment.id,
            "paymentMethod": "Offline" if payment.offline else "CreditCard",
            "offlinePayment": payment.offline,
            "monetary": {
                "paid": money(payment.amount),
                "refunded": money(order.refunded(payment.id)),
                "refundPending": money(order.pending(payment.id)),
                "maxRefund": money(_max_refund(order, payment)),
            },
        }
    }
    if obstacle := _obstacle(order, payment):
        return answer | {"nonRefundable": {"reason": obstacle}}
    if payment.offline:
        return answer | {"manuallyRefundable": {"reason": "OFFLINE"}}
    return answer | {"refundable": True}


def submit_refund(call: Call) -> Json:
    """2.15: no idempotency key, so every accepted call moves money."""
    order = call.order
    if order.status == "CANCELED" and call.flags.refund_cancelled == "428":
        raise Refusal(428, "PAYMENT_NOT_REFUNDABLE", {"nonRefundableReason": "FORBIDDEN"})
    asked = call.body.get("paymentRefunds")
    if not isinstance(asked, list) or not 1 <= len(asked) <= 50:
        raise Refusal(400)
    if len(str(call.body.get("customerReason") or "")) > 200:
        raise Refusal(400)
    transactions = [_transaction(call, part) for part in asked]
    refund = {
        "id": str(uuid.uuid4()),
        "createdDate": datetime.fromtimestamp(call.now_ms / 1000, UTC).isoformat(),
        "createdMs": call.now_ms,
        "transactions": transactions,
        "details": {"reason": call.body.get("customerReason")}
        if call.flags.fingerprint_kept
        else {},
    }
    order.refunds.append(refund)
    order.activities.append("REFUND_INITIATED")
    return {"refund": refund} | order.wire_transactions()


def _transaction(call: Call, part: Any) -> Json:
    payment = next((p for p in call.order.payments if p.id == part.get("paymentId")), None)
    if payment is None:
        raise Refusal(404, "PAYMENT_NOT_FOUND")
    external = bool(part.get("externalRefund"))
    if obstacle := _obstacle(call.order, payment):
        found = {"paymentId": payment.id, "nonRefundableReason": obstacle}
        raise Refusal(428, "PAYMENT_NOT_REFUNDABLE", found)
    if payment.offline and not external:
        raise Refusal(428, "EXTERNAL_REFUND_EXPECTED", {"paymentId": payment.id})
    most = _max_refund(call.order, payment)
    wanted = part.get("amount")
    if wanted is None and call.flags.amount_omitted == "400":
        raise Refusal(400, "INVALID_PAYMENT_REFUND_AMOUNT")
    try:
        amount = most if wanted is None else Decimal(str(wanted["amount"]))
    except (InvalidOperation, KeyError, TypeError):
        raise Refusal(400, "INVALID_PAYMENT_REFUND_AMOUNT") from None
    if not 0 < amount <= most:
        raise Refusal(400, "INVALID_PAYMENT_REFUND_AMOUNT")
    return {
        "paymentId": payment.id,
        "amount": money(amount),
        "refundStatus": "SUCCEEDED" if external else "SCHEDULED",
        "externalRefund": external,
    }


def list_transactions(call: Call) -> Json:
    """Row 18."""
    return call.order.wire_transactions()


def advance(order: Order, flags: Flags, now_ms: int) -> None:
    """Let the payment provider do its work: SCHEDULED, STARTED, PENDING, then its end."""
    outcomes = {payment.id: payment.outcome for payment in order.payments}
    for refund in order.refunds:
        age_ms = now_ms - refund["createdMs"]
        for transaction in refund["transactions"]:
            if transaction["refundStatus"] in {"SUCCEEDED", "FAILED"}:
                continue
            if age_ms < flags.provider_ms:
                stage = 3 * age_ms // max(1, flags.provider_ms)
                transaction["refundStatus"] = ("SCHEDULED", "STARTED", "PENDING")[stage]
                continue
            transaction["refundStatus"] = outcomes[transaction["paymentId"]]
            if transaction["refundStatus"] == "FAILED":
                transaction["refundStatusInfo"] = {"paymentGatewayReasonCode": "INSUFFICIENT_FUNDS"}


RULES: Mapping[str, Callable[[Call], Json]] = {
    "get_order": get_order,
    "cancel_order": cancel_order,
    "list_fulfillments": list_fulfillments,
    "delete_fulfillment": delete_fulfillment,
    "get_order_refundability": get_order_refundability,
    "submit_refund": submit_refund,
    "list_transactions": list_transactions,
}
MUTATING = frozenset({"cancel_order", "delete_fulfillment", "submit_refund"})
