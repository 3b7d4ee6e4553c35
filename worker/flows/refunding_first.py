"""Orders placed before the cutoff that Wix could refund: refund first, then cancel.

The settings choose this. A cancel cannot be undone, so the order stays as it is until the refund
has settled; and if the refund is refused, a person decides whether to cancel without it.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from statemachine.flows import State
from worker.errors import Buried, Rejected
from worker.flows.cancellation import also_refundable, begin_cancellation
from worker.flows.paid_back import left_to_pay, open_at_wix, refundability_if_told, sum_of
from worker.flows.payments import left_out
from worker.flows.step import Advance, Step
from worker.refund.facts import NO_FACTS, Facts
from worker.refund.reasons import REASONS
from worker.wix.billing import Transactions

#: The states in which the refund comes first, and where the refund call leads in any flow.
SUBMITTED: Mapping[State, State] = MappingProxyType(
    {State.REFUNDABLE: State.REFUND_SUBMITTED, State.REFUND_DUE: State.REFUND_AWAITED}
)
#: Reasons of a refund of which nothing is left to be made: the order is cancelled.
NOTHING_LEFT = frozenset({"already_refunded", "zero_price", "not_paid", "no_payment_recorded"})
#: Reasons about a call that was made, or a payment by a person: a replay continues where it was.
ABOUT_A_CALL = frozenset(
    {
        "outcome_unknown",
        "manual_payment",
        "after_manual_payment",
        "paid_twice",
        "refund_vanished",
        "refund_not_settled",
    }
)


def comes_first(step: Step) -> bool:
    """Whether the order is refunded before it is cancelled: Wix could, and the settings say so.

    Raises:
        Buried: a person must decide, because the settings or the lack of an answer demand it.
    """
    wanted = step.settings.cancellation_refundable
    if wanted == "cancel":
        return False
    answer = refundability_if_told(step)
    if answer is None:
        raise also_refundable(step, None)
    found = open_at_wix(answer)
    if found and wanted == "escalate":
        raise also_refundable(step, sum_of(found))
    if not found and left_out(answer, step.wix.list_transactions(step.order_id)):
        raise also_refundable(step, None)
    return bool(found)


def is_first(step: Step) -> bool:
    """Whether this refund is made before the order is cancelled."""
    return step.refund.state in {State.REFUND_DUE, State.REFUND_AWAITED}


def then_cancel(step: Step, facts: Facts = NO_FACTS) -> Advance:
    """Continue with the cancellation of the order, in the state that it is in now."""
    return begin_cancellation(step, step.read_order(), facts)


def settled(step: Step, transactions: Transactions, facts: Facts) -> Advance:
    """The provider paid: cancel the order, whose payments are told as they are now."""
    step.learn(facts)
    step.learn(left_to_pay(step, transactions))
    return then_cancel(step)


def refused(step: Step, end: Rejected | Buried) -> Advance:
    """Continue with the cancel if nothing is left to refund; else leave it to a person.

    A replay looks at the order, and at the settings, from the start.

    Raises:
        Buried: the refund was refused.
        Rejected: it came too late, and nothing was changed.
    """
    if end.reason == "expired":
        raise end
    if end.reason in NOTHING_LEFT:
        return then_cancel(step)
    raise for_a_person(end)


def for_a_person(end: Rejected | Buried) -> Buried:
    """Return the dead letter of a refund that was to be made before a cancel."""
    if isinstance(end, Buried) and end.reason in ABOUT_A_CALL:
        return end
    if isinstance(end, Buried) and REASONS[end.reason].replayable:
        reason, detail, remedy = end.reason, end.detail, end.remedy
    else:
        said = end.detail or str(end.cause or "")
        reason, detail, remedy = "refund_refused", f"{end.reason}: {said}".rstrip(": "), ""
    return Buried(reason, end.cause, detail, remedy=remedy, resume=State.ACCEPTED)


def never_rejected(step: Step, end: Rejected | Buried) -> Rejected | Buried:
    """Do not tell upstream that a refund will not happen when it was made before the cancel."""
    if isinstance(end, Buried) or not step.facts.has_refunded:
        return end
    detail = f"{step.facts.refund_amount} {step.facts.currency} were refunded; {end}"
    return Buried("refunded_not_cancelled", end.cause, detail)
