"""What changes with time: the payment provider settles refunds, voids and captures."""

from __future__ import annotations

from datetime import UTC, datetime

from worker.simulator.contract.refusals import Json
from worker.simulator.script.flags import Flags
from worker.simulator.world.orders import PENDING, Order
from worker.simulator.world.payments import Payment

#: The provider's code for a technical error. W68.
TECHNICAL = "1013"


def iso(at_ms: int) -> str:
    """Return a timestamp in Wix's format."""
    text = datetime.fromtimestamp(at_ms / 1000, UTC).isoformat(timespec="milliseconds")
    return text.replace("+00:00", "Z")


def advance(order: Order, flags: Flags, now_ms: int) -> None:
    """Apply what has happened to the order by now."""
    for refund in order.refunds:
        for transaction in refund["transactions"]:
            _refund(order, refund, transaction, flags, now_ms)
    for payment in order.payments:
        if payment.authorized:
            _authorization(payment, flags, now_ms)


def _refund(order: Order, refund: Json, transaction: Json, flags: Flags, now_ms: int) -> None:
    """Move on from SCHEDULED to STARTED, PENDING and the end; a status that was set stays."""
    if transaction["refundStatus"] not in PENDING or transaction.get("_is_set"):
        return
    age_ms = now_ms - refund["_created_ms"]
    if transaction["externalRefund"]:
        if age_ms >= flags.external_settles_ms:
            settle(transaction, "SUCCEEDED")
        return
    if age_ms < flags.provider_ms:
        stage = 3 * age_ms // max(1, flags.provider_ms)
        transaction["refundStatus"] = ("SCHEDULED", "STARTED", "PENDING")[stage]
        return
    payment = order.payment(transaction["paymentId"])
    code = payment.reason_code if payment else TECHNICAL
    settle(transaction, payment.outcome if payment else "FAILED", code)
    failed = transaction["refundStatus"] == "FAILED"
    order.activities.append("PAYMENT_REFUND_FAILED" if failed else "PAYMENT_REFUNDED")


def set_canceled(order: Order, flags: Flags, now_ms: int) -> None:
    """Let the order be cancelled."""
    if order.status != "CANCELED":
        order.canceled_date = iso(now_ms)
    order.status = "CANCELED"
    if flags.cancel_activity:
        order.activities.append("ORDER_CANCELED")


def first_status(flags: Flags, *, external: bool) -> str:
    """Return the status of a new refund transaction."""
    if not external:
        return "SCHEDULED"
    return "PENDING" if flags.external_settles_ms else "SUCCEEDED"


def settle(transaction: Json, status: str, code: str = TECHNICAL) -> None:
    """Set the status of a refund transaction, with the provider's code if it failed. W68."""
    transaction["refundStatus"] = status
    transaction.pop("refundStatusInfo", None)
    if status == "FAILED":
        transaction["refundStatusInfo"] = {
            "paymentGatewayReasonCode": code,
            "description": "The provider refused the refund",
        }


def _authorization(payment: Payment, flags: Flags, now_ms: int) -> None:
    for book in (payment.void, *payment.captures):
        if book.get("status") == "PENDING" and now_ms >= book["_asked_ms"] + flags.authorization_ms:
            book["status"] = "SUCCEEDED"
            payment.authorized = False
            payment.voided = book is payment.void
            if payment.voided:
                book["voidedDate"] = iso(now_ms)
