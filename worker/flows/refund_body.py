"""Translate a job into Wix's terms: its parts, their total, the body of the call (W62, W63)."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal
from typing import Any

from worker.errors import Permanent
from worker.flows.amounts import Share, is_exact
from worker.flows.step import Step
from worker.refund.reasons import end_with
from worker.wix.billing import Refundability

#: Wix's codes for parts that cannot be refunded, or not any more. W65.
PARTS_REFUSED = frozenset(
    {
        "LINE_ITEM_NOT_FOUND",
        "ADDITIONAL_FEE_NOT_FOUND",
        "SHIPPING_NOT_FOUND",
        "INVALID_LINE_ITEM_REFUND_QUANTITY",
        "INVALID_ADDITIONAL_FEE_REFUND_AMOUNT",
        "INVALID_SHIPPING_REFUND_AMOUNT",
    }
)


def total_of(step: Step) -> Decimal | None:
    """Return how much the job asks for; None for everything. Wix calculates the total of parts.

    Raises:
        Rejected: Wix cannot refund these parts, or their total is different.
        Buried: Wix refuses for a reason that the table does not have.
    """
    request = step.refund.request
    total = Decimal(request.amount) if request.amount else None
    if not request.has_items:
        return total
    calculated, currency = _calculate(step), step.refund.facts.currency
    if total not in (None, calculated):
        raise end_with("amount_mismatch", detail=f"Wix calculates {calculated:f} {currency}")
    if not calculated:
        raise end_with("zero_price")
    if not is_exact(calculated, currency):
        raise end_with("amount_precision", detail=f"Wix calculates {calculated:f} {currency}")
    return calculated


def _calculate(step: Step) -> Decimal:
    """Return what Wix calculates; only refusals that say that the parts are wrong reject them."""
    try:
        answer = step.wix.calculate_refund(step.order_id, items_of(step))
    except Permanent as error:
        is_known = error.code in PARTS_REFUSED or _blames_parts(error)
        raise end_with("lines_not_refundable" if is_known else "refused_by_wix", error) from None
    if answer.refusal is None:
        return answer.total
    codes = answer.refusal.codes
    reason = "lines_not_refundable" if set(codes) <= PARTS_REFUSED else "refused_by_wix"
    raise end_with(reason, detail=", ".join(sorted({code or "no code" for code in codes})))


def _blames_parts(error: Permanent) -> bool:
    """Whether Wix names fields of the parts as invalid, such as a line id that is no UUID."""
    return bool(error.fields) and all(name.startswith("refundItems") for name in error.fields)


def items_of(step: Step) -> dict[str, Any]:
    """Return the parts that the job names, in Wix's spelling."""
    request = step.refund.request
    items: dict[str, Any] = {}
    if request.lines:
        items["lineItems"] = _lines(step)
    if request.additional_fees:
        items["additionalFees"] = [
            {"additionalFeeId": fee.additional_fee_id}
            | ({"amount": {"amount": fee.amount}} if fee.amount else {})
            for fee in request.additional_fees
        ]
    if request.shipping:
        items["shipping"] = {"amount": {"amount": request.shipping}}
    return items


def _lines(step: Step) -> list[dict[str, Any]]:
    return [
        {"lineItemId": line.line_item_id, "quantity": line.quantity}
        for line in step.refund.request.lines
    ]


def refund_body(step: Step, chosen: Iterable[Share], answer: Refundability) -> dict[str, Any]:
    """Build the body of a refund call (W63)."""
    request = step.refund.request
    effects: dict[str, Any] = {"notifications": {"sendCustomerEmail": request.notify_buyer}}
    if request.restock:
        effects["restock"] = {"lineItems": _lines(step) or _all_lines(answer)}
    body = {
        "paymentRefunds": [share.wire() for share in chosen],
        "sideEffects": effects,
        "customerReason": step.refund.customer_reason,
    }
    return body | ({"refundItems": items_of(step)} if request.has_items else {})


def _all_lines(answer: Refundability) -> list[dict[str, Any]]:
    return [
        {"lineItemId": line.line_item_id, "quantity": line.available_refund_quantity}
        for line in answer.lines
        if line.available_refund_quantity
    ]
