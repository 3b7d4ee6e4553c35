"""Orders placed before the cutoff: unfulfilled if need be, then cancelled.

A cancel moves no money at Wix; whoever took the payment returns it.
W30, W90.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Any

from statemachine.flows import State
from worker.errors import Buried, EffectUnknown, Permanent, Rejected
from worker.flows.step import Advance, Step, Wait
from worker.refund.reasons import end_with
from worker.wix.models import Fulfillment, Order

#: What Wix's refusals of a cancel mean. W31.
REFUSALS: Mapping[str, str] = MappingProxyType(
    {
        "ORDER_NOT_FOUND": "order_not_found",
        "ORDER_IS_PENDING": "order_pending",
        "ORDER_IS_REJECTED": "order_rejected",
        "ORDER_HAS_AUTHORIZED_TRANSACTION": "order_authorized",
    }
)
#: An empty list may be stale: it is believed at this look.
EMPTY_LOOKS = 2


def state_of(order: Order) -> State:
    """Where an order of this flow stands."""
    if order.is_cancelled:
        return State.CANCELLED
    return State.UNFULFILLED if order.is_unfulfilled else State.FULFILLED


def found_cancelled(*, by_merchant: bool) -> Advance:
    """There is nothing to cancel any more."""
    effect = "already_cancelled" if by_merchant else "order_cancelled"
    return Advance(
        to=State.CANCELLED,
        facts={"effect": effect},
        found=not by_merchant,
        by_merchant=by_merchant,
    )


def unfulfill_order(step: Step) -> Advance | Wait:
    """Delete every fulfillment, one by one, until Wix shows the order unfulfilled.

    Safe to repeat at any point: deleting what is gone changes nothing. W40.
    """
    state = state_of(step.wix.get_order(step.order_id))
    if state is State.CANCELLED:
        return found_cancelled(by_merchant=True)
    listed = step.wix.list_fulfillments(step.order_id).fulfillments
    noted = step.refund.facts.get("fulfillments", [])
    step.notes["fulfillments"] = kept = _kept(step, listed)
    if state is State.UNFULFILLED:
        return Advance(to=state, by_merchant=not step.may_have_happened)
    noted_ids = {fulfillment["id"] for fulfillment in noted}
    for fulfillment in _not_deleted(step, listed):
        if fulfillment.id in noted_ids:
            _delete(step, fulfillment.id)
    if any(fulfillment.id not in noted_ids for fulfillment in listed):
        # They are written down before they are deleted.
        rounds = _next_round(step) if noted else {}
        return Wait(why="new fulfillments noted", in_ms=0, facts=rounds)
    state = state_of(step.wix.get_order(step.order_id))
    if state is State.CANCELLED:
        return found_cancelled(by_merchant=True)
    if state is State.UNFULFILLED:
        return Advance(to=state)
    return _still_fulfilled(step, looks=step.settings.unfulfill_looks if kept else EMPTY_LOOKS)


def _kept(step: Step, listed: Iterable[Fulfillment]) -> list[dict[str, Any]]:
    """Every fulfillment that we see or have removed, whole: nothing else could bring it back.

    What the merchant removed is not ours to restore.
    """
    listed = list(listed)
    noted = {f["id"]: f for f in step.refund.facts.get("fulfillments", [])}
    deleted = step.refund.facts.get("deleted", [])
    vanished = set(step.refund.facts.get("vanished", []))
    if step.may_have_happened:
        # What is gone since an unclear step counts as removed by us: by whom, nobody can tell.
        vanished |= noted.keys() - deleted
    step.notes["vanished"] = sorted(vanished - {fulfillment.id for fulfillment in listed})
    noted = {i: f for i, f in noted.items() if i in {*deleted, *step.notes["vanished"]}}
    return [*(noted | {f.id: f.whole() for f in listed}).values()]


def _still_fulfilled(step: Step, *, looks: int) -> Advance | Wait:
    """The order shows fulfilled although nothing is left: a lag, or beyond our reach (W42)."""
    if step.looks + 1 < looks:
        known = not step.may_have_happened
        return step.wait(
            "Wix still shows the order fulfilled", step.next_look_ms, effect_known=known
        )
    if step.settings.without_fulfillments == "escalate":
        raise end_with("cannot_unfulfill", detail=f"looked {step.looks + 1} times")
    return Advance(to=State.UNFULFILLED, facts={"still_fulfilled": True})


def _not_deleted(step: Step, listed: Iterable[Fulfillment]) -> list[Fulfillment]:
    """Of what Wix lists, what it has not confirmed as deleted: a list may be stale (unknown)."""
    deleted = step.notes.get("deleted", step.refund.facts.get("deleted", []))
    return [fulfillment for fulfillment in listed if fulfillment.id not in deleted]


def _delete(step: Step, fulfillment_id: str) -> None:
    try:
        step.wix.delete_fulfillment(step.order_id, fulfillment_id)
    except Permanent as error:
        # Deleted by somebody else, or by us before: absent is what we want. W43.
        if error.status != 404:
            raise
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
        # Wix may refuse because of what happened a moment ago: look again. W32.
        return _look(step) or _refused(step, error)
    if not order.is_cancelled:
        raise EffectUnknown(
            "cancel_order", status=200, detail="the answer shows no cancelled order"
        )
    return Advance(to=State.CANCELLED, facts={"effect": "order_cancelled"})


def _look(step: Step) -> Advance | Wait | None:
    """Whether there is nothing to cancel: cancelled already, or fulfilled again."""
    try:
        state = state_of(step.wix.get_order(step.order_id))
    except Permanent as error:
        raise _ending(step, error) from None
    if state is State.CANCELLED:
        return found_cancelled(by_merchant=not step.may_have_happened)
    if state is State.UNFULFILLED:
        return None
    listed = step.wix.list_fulfillments(step.order_id).fulfillments
    if not _not_deleted(step, listed):
        if step.refund.facts.get("still_fulfilled"):
            return None
        if step.looks + 1 < step.settings.unfulfill_looks:
            known = not step.may_have_happened
            return step.wait("it shows as fulfilled", step.next_look_ms, effect_known=known)
    facts = _next_round(step) | {"still_fulfilled": False, "fulfillments": _kept(step, listed)}
    return Advance(to=State.FULFILLED, facts=facts, by_merchant=True)


def _next_round(step: Step) -> dict[str, int]:
    """The order changed between our steps: back, but not for ever."""
    rounds = int(step.refund.facts.get("rounds", 0)) + 1
    if rounds > step.settings.order_rounds:
        raise end_with("order_keeps_changing", detail=f"it changed {rounds} times")
    return {"rounds": rounds}


def _refused(step: Step, error: Permanent) -> Advance | Wait:
    """Void first if that is what Wix asks for; else make undone what we did, and tell a person."""
    if error.code == "ORDER_HAS_AUTHORIZED_TRANSACTION":
        payments = step.wix.list_transactions(step.order_id).payments
        if any(payment.stands == "AUTHORIZED" for payment in payments):
            return Advance(to=State.AUTHORIZED, facts=_next_round(step))
        if step.looks + 1 < step.settings.unfulfill_looks:
            return step.wait("Wix still sees an authorized payment", step.next_look_ms)
    no = _ending(step, error)
    noted = step.refund.facts.get("fulfillments")
    if not noted or error.status == 404 or not step.settings.restore_fulfillments:
        raise no
    refusal = {
        "reason": no.reason,
        "endpoint": error.endpoint,
        "status": error.status,
        "code": error.code,
        "request_id": error.request_id,
    }
    return Advance(to=State.RESTORING, facts={"refusal": refusal})


def _ending(step: Step, error: Permanent) -> Rejected | Buried:
    still = step.refund.facts.get("still_fulfilled")
    unknown = "cannot_unfulfill" if still else "refused_by_wix"
    return end_with(REFUSALS.get(error.code or "", unknown), error)
