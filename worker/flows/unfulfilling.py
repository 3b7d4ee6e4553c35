"""Orders placed before the cutoff that are fulfilled: delete their fulfillments."""

from __future__ import annotations

from statemachine.flows import State
from worker.errors import Permanent
from worker.flows.cancellation import (
    found_cancelled,
    fulfillments_to_keep,
    next_round,
    not_deleted,
    state_of,
)
from worker.flows.step import Advance, Step, Wait
from worker.refund.facts import Facts
from worker.refund.reasons import end_with

#: How many looks must show an empty list before we believe it: it may be stale.
EMPTY_LOOKS = 2


def unfulfill_order(step: Step) -> Advance | Wait:
    """Delete each fulfillment until Wix shows the order as unfulfilled.

    It can be repeated at any point: deleting a deleted fulfillment changes nothing. W40.
    """
    state = state_of(step.recent_order())
    if state is State.CANCELLED:
        return found_cancelled(step, by_merchant=True)
    listed = step.recent_fulfillments()
    saved = step.refund.facts.fulfillments
    step.learn(fulfillments_to_keep(step, listed))
    if state is State.UNFULFILLED:
        return Advance(to=state, by_merchant=not step.may_have_happened)
    saved_ids, is_empty = {fulfillment["id"] for fulfillment in saved}, False
    step.reads.fulfillments = None
    for fulfillment in not_deleted(step, listed):
        if fulfillment.id in saved_ids:
            is_empty = _delete(step, fulfillment.id)
    if any(fulfillment.id not in saved_ids for fulfillment in listed):
        # Save the new ones in the record first; the next look deletes them.
        rounds = next_round(step) if saved else Facts()
        why = "new fulfillments are saved before they are deleted"
        return Wait(why=why, in_ms=0, effect_known=False, facts=rounds)
    if is_empty and step.settings.without_fulfillments == "try_cancel":
        # If Wix still shows it as fulfilled, and refuses the cancel, we come back. W40, W41.
        step.note_unfulfilled()
        return Advance(to=State.UNFULFILLED)
    state = state_of(step.read_order())
    if state is State.CANCELLED:
        return found_cancelled(step, by_merchant=True)
    if state is State.UNFULFILLED:
        return Advance(to=state)
    return _still_fulfilled(
        step, looks=step.settings.unfulfill_looks if step.facts.fulfillments else EMPTY_LOOKS
    )


def _still_fulfilled(step: Step, *, looks: int) -> Advance | Wait:
    """Wait: the order shows as fulfilled although no fulfillment is left (a lag, or W42)."""
    if step.looks + 1 < looks:
        known = not step.may_have_happened
        return step.wait(
            "Wix still shows the order as fulfilled", step.next_look_ms, effect_known=known
        )
    if step.settings.without_fulfillments == "escalate":
        raise end_with("cannot_unfulfill", detail=f"still fulfilled after {step.looks + 1} looks")
    return Advance(to=State.UNFULFILLED, facts=Facts(still_fulfilled=True))


def _delete(step: Step, fulfillment_id: str) -> bool:
    """Delete one; return whether Wix answers that none is left."""
    try:
        answer = step.wix.delete_fulfillment(step.order_id, fulfillment_id)
    except Permanent as error:
        # Someone else deleted it, or our earlier call did: it is gone either way. W43.
        if error.status != 404:
            raise
        return False
    step.learn(Facts(deleted=(*step.facts.deleted, fulfillment_id)))
    return answer.is_empty
