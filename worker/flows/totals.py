"""How much a job asks for: an amount, what Wix calculates for its parts, or all that is left."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any, NamedTuple

from worker.errors import Permanent
from worker.flows.amounts import rounded, unit_of
from worker.flows.payments import SortedPayments
from worker.flows.refund_body import items_of
from worker.flows.splitting import split_of_calculation
from worker.flows.step import Step
from worker.refund.facts import Facts
from worker.refund.reasons import end_with
from worker.wix.refundability import Refundability

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


class Asked(NamedTuple):
    """How much a job asks for."""

    total: Decimal | None
    """None for all that is left."""
    is_calculated: bool = False
    """Whether it is what Wix calculates for the parts, so that it may be a little off."""


def asked_of(step: Step) -> Asked:
    """Return how much the job asks for; Wix calculates the total of its parts.

    The job may ask for less than that, for example because of a restocking fee (W69).

    Raises:
        Rejected: Wix cannot refund these parts, or not so much for them.
        Buried: Wix refuses for a reason that the table does not have.
    """
    request, currency = step.refund.request, step.refund.facts.currency
    named = Decimal(request.amount) if request.amount else None
    if not request.has_items:
        return Asked(named)
    if any(line.amount for line in request.lines):
        return Asked(_of_parts(step))
    calculated = _calculate(step, items_of(step))
    if not calculated:
        raise end_with("zero_price")
    if named is not None and named > calculated:
        raise end_with("amount_mismatch", detail=f"Wix calculates {calculated:f} {currency}")
    total = calculated if named is None else named
    return Asked(total, is_calculated=total == calculated)


def _of_parts(step: Step) -> Decimal:
    """Return the amounts of the lines that have one, plus what Wix calculates for all else."""
    lines, items = step.refund.request.lines, items_of(step)
    wire = list(zip(lines, items["lineItems"], strict=True))
    named = sum((Decimal(line.amount) for line in lines if line.amount), Decimal(0))
    most = _calculate(step, {"lineItems": [item for line, item in wire if line.amount]})
    if named > most:
        detail = (
            f"Wix calculates {most:f} {step.refund.facts.currency} for the lines with an amount"
        )
        raise end_with("amount_mismatch", detail=detail)
    others = items | {"lineItems": [item for line, item in wire if not line.amount]}
    rest = {name: parts for name, parts in others.items() if parts}
    return named + (_calculate(step, rest) if rest else 0)


def _calculate(step: Step, items: Mapping[str, Any]) -> Decimal:
    """Return what Wix calculates; only refusals that say that the parts are wrong reject them."""
    try:
        answer = step.wix.calculate_refund(step.order_id, items)
    except Permanent as error:
        is_known = error.code in PARTS_REFUSED or _blames_parts(error)
        raise end_with("lines_not_refundable" if is_known else "refused_by_wix", error) from None
    if answer.refusal is None:
        step.learn(Facts(split=split_of_calculation(answer, step.refund.facts.currency)))
        return rounded(answer.total, step.refund.facts.currency)
    codes = answer.refusal.codes
    reason = "lines_not_refundable" if set(codes) <= PARTS_REFUSED else "refused_by_wix"
    raise end_with(reason, detail=", ".join(sorted({code or "no code" for code in codes})))


def _blames_parts(error: Permanent) -> bool:
    """Whether Wix names fields of the parts as invalid, such as a line id that is no UUID."""
    return bool(error.fields) and all(name.startswith("refundItems") for name in error.fields)


def fitted(
    step: Step, asked: Asked, payments: SortedPayments, answer: Refundability
) -> Decimal | None:
    """Return the total, corrected if Wix rounded each part on its own.

    What Wix calculates for the last lines of an order may differ from what is left of it, by at
    most one smallest unit per line. Then what is left is refunded.
    """
    total, left = asked.total, payments.left
    if not asked.is_calculated or total is None or not left or payments.is_incomplete:
        return total
    lines = max(1, len(answer.line_items or ()), len(step.refund.request.lines))
    if abs(left - total) > lines * unit_of(step.refund.facts.currency):
        return total
    return left if left < total or _takes_the_rest(step, answer) else total


def _takes_the_rest(step: Step, answer: Refundability) -> bool:
    """Whether the job names no amount, and all units that can still be refunded."""
    request, lines = step.refund.request, answer.line_items
    asked = {line.line_item_id: line.quantity for line in request.lines}
    is_all = lines and all(
        asked.get(line.line_item_id, 0) >= line.available_refund_quantity for line in lines
    )
    return bool(is_all and not request.amount)
