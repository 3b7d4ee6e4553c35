"""Translate a job into Wix's terms: its parts, and the body of the refund call (W62, W63)."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal
from typing import Any

from statemachine.flows import State
from worker.flows.amounts import Share, price
from worker.flows.step import Step
from worker.wix.refundability import Refundability


def items_of(step: Step) -> dict[str, Any]:
    """Return the parts that the job names, in Wix's spelling."""
    request, currency = step.refund.request, step.refund.facts.currency
    items: dict[str, Any] = {}
    if request.lines:
        items["lineItems"] = _lines(step)
    if request.additional_fees:
        items["additionalFees"] = [
            {"additionalFeeId": fee.additional_fee_id}
            | ({"amount": price(Decimal(fee.amount), currency)} if fee.amount else {})
            for fee in request.additional_fees
        ]
    if request.shipping:
        items["shipping"] = {"amount": price(Decimal(request.shipping), currency)}
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
    # If a cancel follows, it restocks.
    if request.restock and step.refund.state is not State.REFUND_DUE:
        effects["restock"] = {"lineItems": _lines(step) or _all_lines(answer)}
    body = {
        "paymentRefunds": [share.wire(step.refund.facts.currency) for share in chosen],
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
