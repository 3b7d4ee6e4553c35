"""Which flow an order takes, and where in it the order stands already."""

from __future__ import annotations

from statemachine.flows import Flow, State, flow_for
from worker.cancellation import state_of
from worker.errors import Buried, Permanent, Rejected
from worker.step import Advance, Step
from worker.wix.models import Order

_REFUSING_STATUS = {"PENDING": "order_pending", "REJECTED": "order_rejected"}


def assess_order(step: Step) -> Advance:
    """Read the order, choose its flow by `createdDate`, and note what would be lost later."""
    try:
        order = step.wix.get_order(step.order_id)
    except Permanent as error:
        if error.code == "ORDER_NOT_FOUND":
            raise Rejected("order_not_found", error) from None
        raise Buried("refused_by_wix", error) from None
    if order.status in _REFUSING_STATUS:
        raise Rejected(_REFUSING_STATUS[order.status])
    request = step.refund.request
    if request.currency and request.currency != order.currency:
        raise Rejected("currency_mismatch", detail=f"the order is in {order.currency}")
    flow = flow_for(order.created_date, step.settings.cutoff)
    facts = {
        "flow": flow.value,
        "placed_at": order.created_date.isoformat(),
        "currency": order.currency,
    }
    if flow is Flow.STANDARD:
        return _standard(step, facts)
    return _cancellation(step, order, facts)


def _standard(step: Step, facts: dict[str, str]) -> Advance:
    if step.refund.request.is_partial:
        raise Rejected("partial_not_supported")
    return Advance(to=State.REFUNDABLE, facts=facts)


def _cancellation(step: Step, order: Order, facts: dict[str, str]) -> Advance:
    if step.refund.request.is_partial:
        raise Rejected("partial_needs_standard_refund")
    state = state_of(order)
    if state is State.FULFILLED:
        listed = step.wix.list_fulfillments(step.order_id).fulfillments
        saved = {"fulfillments": [f.model_dump(mode="json") for f in listed]}
        return Advance(to=state, facts=facts | saved)
    return Advance(to=state, facts=facts, by_merchant=state is State.CANCELLED)
