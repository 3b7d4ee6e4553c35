"""Calls about payments. W50, W75."""

from __future__ import annotations

from decimal import Decimal

from worker.simulator.contract.refusals import Json, Refusal
from worker.simulator.rules.orders import Call
from worker.simulator.world.payments import Payment
from worker.simulator.world.views import refund_wire, transactions_wire


def list_transactions(call: Call) -> Json:
    """Return the payments and refunds of an order; a new refund may be missing. W52."""
    order, since_ms = call.order, call.now_ms - call.flags.refund_list_lag_ms
    listed = [refund for refund in order.refunds if refund.get("_created_ms", 0) <= since_ms]
    shown = [refund_wire(refund, order.currency) for refund in listed]
    return {"orderTransactions": transactions_wire(order) | {"refunds": shown}}


def _payment(call: Call, payment_id: str) -> Payment:
    payment = call.order.payment(payment_id)
    if payment is None:
        raise Refusal(404, "PAYMENT_NOT_FOUND", {"paymentId": payment_id})
    return payment


def void_payments(call: Call) -> Json:
    """Void payments: all of them, or none. Their status changes later. W75."""
    payments = [_payment(call, payment_id) for payment_id in call.body["paymentIds"]]
    for payment in payments:
        found = {"paymentId": payment.id}
        if payment.voided or payment.void:
            raise Refusal(409, "PAYMENT_ALREADY_VOIDED", found)
        if payment.captures:
            raise Refusal(428, "PAYMENT_ALREADY_CAPTURED", found)
        if not payment.authorized:
            raise Refusal(428, "PAYMENT_NOT_AUTHORIZED", found)
        if payment.non_refundable == "TRANSACTION_NOT_FOUND":
            raise Refusal(404, "GATEWAY_TRANSACTION_NOT_FOUND", found)
    for payment in payments:
        payment.void = {"status": "PENDING", "reason": "MANUAL", "_asked_ms": call.now_ms}
        call.order.activities.append("AUTHORIZED_PAYMENT_VOIDED")
    return list_transactions(call)


def capture_payments(call: Call) -> Json:
    """Capture payments, in full only (documented); the statuses of the refusals are inferred."""
    wanted = [
        (_payment(call, part["paymentId"]), part.get("amount")) for part in call.body["payments"]
    ]
    for payment, amount in wanted:
        found = {"paymentId": payment.id}
        if payment.voided or payment.void:
            raise Refusal(428, "PAYMENT_ALREADY_VOIDED", found)
        if any(capture["status"] == "PENDING" for capture in payment.captures):
            raise Refusal(428, "PAYMENT_HAS_PENDING_CAPTURE", found)
        if payment.captures:
            raise Refusal(409, "PAYMENT_ALREADY_CAPTURED", found)
        if not payment.authorized:
            raise Refusal(428, "PAYMENT_NOT_AUTHORIZED", found)
        if payment.chargeback:
            raise Refusal(428, "ORDER_HAS_CHARGEBACKS", found)
        if amount and Decimal(amount["amount"]) != payment.amount:
            raise Refusal(400, "INVALID_AMOUNT", found)
    for payment, _ in wanted:
        amount = payment.wire(Decimal(0), call.order.currency)["amount"]
        capture = {"id": payment.id, "status": "PENDING", "amount": amount}
        payment.captures.append(capture | {"_asked_ms": call.now_ms})
        call.order.activities.append("AUTHORIZED_PAYMENT_CAPTURED")
    return list_transactions(call)


def update_payment_status(call: Call) -> Json:
    """Set the status of an offline payment; that of others cannot be set (inferred)."""
    payment = _payment(call, call.ids["payment_id"])
    status = call.body["status"]
    if not payment.offline or status not in {"APPROVED", "DECLINED", "CANCELED"}:
        raise Refusal(428, "STATUS_NOT_ALLOWED", {"status": status})
    payment.status = "" if status == "APPROVED" else status
    return list_transactions(call)
