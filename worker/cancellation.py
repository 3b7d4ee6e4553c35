"""Orders placed before the cutoff: unfulfilled if need be, then cancelled.

A cancel moves no money at Wix; whoever took the payment returns it.
Source: wix-api.md 0.1 [D], 6.5 [D].
"""

from __future__ import annotations

from collections.abc import Iterable

from statemachine.flows import State
from worker.errors import Buried, OutcomeUnknown, Permanent, Rejected
from worker.step import Advance, Step, Wait
from worker.wix.models import Fulfillment, Order

#: What Wix's refusals of a cancel mean. Source: wix-api.md 2 row 3 [D].
_REJECTING = {
    "ORDER_NOT_FOUND": "order_not_found",
    "ORDER_IS_PENDING": "order_pending",
    "ORDER_IS_REJECTED": "order_rejected",
}
_BURYING = {"ORDER_HAS_AUTHORIZED_TRANSACTION": "order_authorized"}


def state_of(order: Order) -> State:
    """Where an order of this flow stands."""
    if order.is_cancelled:
        return State.CANCELLED
    return State.UNFULFILLED if order.is_unfulfilled else State.FULFILLED


def unfulfill_order(step: Step) -> Advance | Wait:
    """Delete every fulfillment, one by one, until Wix shows the order unfulfilled.

    Safe to repeat at any point: deleting what is gone changes nothing. Source: wix-api.md 6.2 [I].
    """
    state = state_of(step.wix.get_order(step.order_id))
    if state is not State.FULFILLED:
        return Advance(to=state, by_merchant=not step.may_have_happened)
    listed = step.wix.list_fulfillments(step.order_id).fulfillments
    noted = {f["id"]: f for f in step.refund.facts.get("fulfillments", [])}
    fresh = [f for f in listed if f.id not in noted]
    if fresh:
        # Nothing else could bring them back: they are written down before they are deleted.
        noted |= {f.id: f.model_dump(mode="json") for f in fresh}
        return Wait(
            why="new fulfillments noted", in_ms=0, facts={"fulfillments": [*noted.values()]}
        )
    for fulfillment in _not_deleted(step, listed):
        _delete(step, fulfillment.id)
    state = state_of(step.wix.get_order(step.order_id))
    if state is not State.FULFILLED:
        return Advance(to=state)
    return _look_again(step)


def _look_again(step: Step) -> Wait:
    """The order still shows fulfilled although nothing is left: a lag, or beyond our reach."""
    if step.looks + 1 >= step.settings.unfulfill_looks:
        raise Buried("cannot_unfulfill", detail=f"looked {step.looks + 1} times")
    in_ms = min(step.settings.confirm_cap_ms, step.settings.confirm_first_ms * 2**step.looks)
    return step.wait("Wix still shows the order fulfilled", in_ms)


def _not_deleted(step: Step, listed: Iterable[Fulfillment]) -> list[Fulfillment]:
    """Of what Wix lists, what it has not confirmed as deleted: a list may be stale [U]."""
    deleted = step.notes.get("deleted", step.refund.facts.get("deleted", []))
    return [fulfillment for fulfillment in listed if fulfillment.id not in deleted]


def _delete(step: Step, fulfillment_id: str) -> None:
    try:
        step.wix.delete_fulfillment(step.order_id, fulfillment_id)
    except Permanent as error:
        # Deleted by somebody else, or by us before: absent is what we want. Source: 6.2 [U].
        if error.status != 404:
            raise Buried("refused_by_wix", error) from None
        return
    before = step.notes.get("deleted", step.refund.facts.get("deleted", []))
    step.notes["deleted"] = [*before, fulfillment_id]


def cancel_order(step: Step) -> Advance | Wait:
    """Cancel once; look first, because the merchant or an earlier attempt may have done it."""
    looked = _look(step)
    if looked:
        return looked
    if step.unsure_for_ms:
        return Wait(why="an earlier cancel may still arrive", in_ms=step.unsure_for_ms)
    request = step.refund.request
    try:
        order = step.wix.cancel_order(
            step.order_id, restock=request.restock, notify_buyer=request.notify_buyer
        )
    except Permanent as error:
        # Wix may refuse because of what happened a moment ago: look again. Source: 6.1 [U].
        looked = _look(step)
        if looked:
            return looked
        raise _refusal(error) from None
    if not order.is_cancelled:
        raise OutcomeUnknown(
            "cancel_order", status=200, detail="the answer shows no cancelled order"
        )
    return Advance(to=State.CANCELLED)


def _look(step: Step) -> Advance | Wait | None:
    """Whether there is nothing to cancel: cancelled already, or fulfilled again."""
    try:
        state = state_of(step.wix.get_order(step.order_id))
    except Permanent as error:
        raise _refusal(error) from None
    if state is State.CANCELLED:
        ours = step.may_have_happened
        return Advance(to=state, found=ours, by_merchant=not ours)
    if state is State.UNFULFILLED:
        return None
    listed = step.wix.list_fulfillments(step.order_id).fulfillments
    if not _not_deleted(step, listed):
        return _look_again(step)
    rounds = int(step.refund.facts.get("rounds", 0)) + 1
    if rounds > step.settings.order_rounds:
        raise Buried("order_keeps_changing", detail=f"fulfilled again {rounds} times")
    return Advance(to=State.FULFILLED, facts={"rounds": rounds}, by_merchant=True)


def _refusal(error: Permanent) -> Rejected | Buried:
    code = error.code or ""
    if code in _REJECTING:
        return Rejected(_REJECTING[code], error)
    return Buried(_BURYING.get(code, "refused_by_wix"), error)
