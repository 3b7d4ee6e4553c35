"""What a refund has changed at Wix so far: one that has changed nothing may still be stopped."""

from __future__ import annotations

from statemachine.flows import BY_PERSON, State
from worker.refund.record import Refund

UNCLEAR = "a call may have changed something at Wix, and its effect is not known yet"


def what_changed(refund: Refund) -> str:
    """Say what the refund has changed at Wix, or may have; "" if it is nothing."""
    facts = refund.facts
    # A replay forgets which fulfillments were deleted, but not which there were.
    was_fulfilled = bool(facts.fulfillments) and (
        refund.state is not State.FULFILLED or refund.replayed_at_ms > 0
    )
    found = {
        "it has ended": refund.state is State.DEAD or refund.state in _ENDED,
        UNCLEAR: refund.intent_at_ms > 0 or facts.unclear_sends > 0,
        "fulfillments of the order were deleted": bool(facts.deleted or facts.vanished)
        or was_fulfilled,
        "payments of the order were voided": bool(facts.void_ids),
        "Wix has accepted our refund": bool(facts.wix_refund_id or facts.payments),
        "a person has paid a part of it": facts.manual_done or bool(facts.manual_paid),
        f"Wix has accepted it (its state is {refund.state})": refund.state
        not in BY_PERSON[State.CALLED_OFF],
    }
    return next((why for why, is_true in found.items() if is_true), "")


_ENDED = frozenset({*BY_PERSON, State.CANCELLED, State.REFUNDED, State.VOIDED, State.REJECTED})
