"""Choose the flow of an order, and the state in which the order already is."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from types import MappingProxyType
from typing import Any

from statemachine.flows import Flow, State, flow_for
from worker.errors import Permanent
from worker.flows.amounts import is_exact
from worker.flows.cancellation import begin_cancellation, check_allowed, check_may_cancel
from worker.flows.order_numbers import find_order
from worker.flows.refunding_first import comes_first
from worker.flows.splitting import split_of_order
from worker.flows.step import Advance, Step, Wait
from worker.refund.facts import Facts
from worker.refund.reasons import end_with
from worker.wix.models import Order

#: Statuses with which the refund continues; the flows deal with CANCELED. W20.
_CONTINUING = frozenset({"APPROVED", "CANCELED"})
#: Statuses in which nothing was paid, and the reason with which the refund ends. W20.
REFUSING: Mapping[str, str] = MappingProxyType(
    {"PENDING": "order_pending", "REJECTED": "order_rejected"}
)
#: Statuses that change by themselves, and the reason with which the refund ends if they do not.
PASSING: Mapping[str, str] = MappingProxyType({"INITIALIZED": "order_not_approved"})

#: How old a job may be for its order to be looked for again, ms.
NEW_JOB_MS = 180_000


def assess_order(step: Step) -> Advance | Wait:
    """Read the order, choose its flow by `createdDate`, and save its fulfillments."""
    if step.refund.request.known_order_id is None:
        return find_order(step)
    shared = step.shared_order()
    if shared and _is_plain(step, shared):
        return _standard(step, shared)
    try:
        order = step.read_order()
    except Permanent as error:
        if error.status != 404 and error.code != "ORDER_NOT_FOUND":
            raise
        # A new order may not be readable yet; a 404 without the code need not be about the order.
        is_new = step.now_ms - step.refund.accepted_at_ms < NEW_JOB_MS
        if is_new and (wait := step.missing_wait(error)):
            return wait
        if error.code != "ORDER_NOT_FOUND":
            raise
        raise end_with("order_not_found", error) from None
    if order.status not in _CONTINUING:
        return _not_ready(step, order.status)
    if flow_for(order.created_date, step.settings.cutoff) is Flow.STANDARD:
        return _standard(step, order)
    _check_amounts(step, order)
    return _cancellation(step, order)


def _is_plain(step: Step, order: Order) -> bool:
    """Whether what a search shows is enough: the order is for the standard flow, and allows it."""
    is_standard = flow_for(order.created_date, step.settings.cutoff) is Flow.STANDARD
    return is_standard and order.status in _CONTINUING and order.allows("REFUND")


def _standard(step: Step, order: Order) -> Advance:
    _check_amounts(step, order)
    check_allowed(order, "REFUND")
    return Advance(to=State.REFUNDABLE, flow=Flow.STANDARD, facts=_placed(order))


def _placed(order: Order) -> Facts:
    found: dict[str, Any] = {}
    if split := split_of_order(order):
        found["split"] = split
    if (left := order.left_to_refund) is not None:
        found["left_to_refund"] = f"{left:f}"
    return Facts(placed_at=order.created_date.isoformat(), currency=order.currency, **found)


def _not_ready(step: Step, status: str) -> Wait:
    if status in REFUSING:
        raise end_with(REFUSING[status])
    if status not in PASSING:
        raise end_with("order_status_unknown", detail=status[:40])
    if step.waiting_for_ms >= step.settings.approval_for_s * 1000:
        raise end_with(PASSING[status])
    return step.wait(f"the order is {status}", step.next_look_ms, effect_known=True)


def _check_amounts(step: Step, order: Order) -> None:
    """Compare the job's currency with the order's, and its amounts with the currency's decimals."""
    request = step.refund.request
    if request.currency and request.currency != order.currency:
        raise end_with("currency_mismatch", detail=f"the order is in {order.currency}")
    for amount in request.amounts:
        if not is_exact(Decimal(amount), order.currency):
            raise end_with("amount_precision", detail=f"{amount} {order.currency}")


def _cancellation(step: Step, order: Order) -> Advance:
    if step.refund.request.is_partial:
        raise end_with("partial_needs_standard_refund")
    step.learn(_placed(order))
    if not order.is_cancelled:
        check_may_cancel(order)
        if comes_first(step):
            check_allowed(order, "REFUND")
            return Advance(to=State.REFUND_DUE, flow=Flow.REFUND_THEN_CANCEL)
    return begin_cancellation(step, order)
