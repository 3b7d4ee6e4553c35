"""Payments that are authorized but not captured: no money has moved, so they are voided.

A void is asynchronous (W75). If the payment is captured in the meantime, the order continues like
one that was paid from the start.
"""

from __future__ import annotations

from collections.abc import Iterable

from statemachine.flows import Flow, State
from worker.errors import Buried, Permanent
from worker.flows.cancellation import found_cancelled, state_of
from worker.flows.paid_back import nothing_paid
from worker.flows.step import Advance, Step, Wait
from worker.refund.facts import Facts
from worker.refund.reasons import end_with
from worker.wix.billing import Payment, is_voided

#: Refusals that say that the payment has changed, so we look at it again. W75.
_CHANGED = frozenset(
    {"PAYMENT_ALREADY_CAPTURED", "PAYMENT_ALREADY_VOIDED", "PAYMENT_NOT_AUTHORIZED"}
)
#: Statuses of a void that has failed. They are a guess: Wix does not document its statuses.
_FAILED = frozenset({"FAILED", "DECLINED", "REJECTED"})


def void_payments(step: Step) -> Advance | Wait:
    """Void all authorized payments in one call. It can be repeated: Wix voids only once."""
    payments = _payments(step)
    authorized = [payment for payment in payments if payment.effective_status == "AUTHORIZED"]
    if not authorized:
        return _continue(step, payments)
    ids = [payment.id for payment in authorized]
    if all(payment.void_status and payment.void_status not in _FAILED for payment in authorized):
        return Advance(to=State.VOID_SUBMITTED, facts=Facts(void_ids=tuple(ids)), found=True)
    try:
        step.wix.void_payments(step.order_id, ids)
    except Permanent as error:
        if error.code not in _CHANGED:
            raise end_with("void_failed", error) from None
        if step.looks + 1 >= step.settings.unfulfill_looks:
            raise end_with("void_failed", error) from None
        return step.wait("the payment has changed", step.next_look_ms, effect_known=True)
    return Advance(to=State.VOID_SUBMITTED, facts=Facts(void_ids=tuple(ids)))


def confirm_void(step: Step) -> Advance | Wait:
    """Check whether the authorizations are void; a 200 to the call does not say so."""
    payments = _payments(step)
    ours = [payment for payment in payments if payment.id in step.refund.facts.void_ids]
    waiting = [payment for payment in ours if payment.effective_status == "AUTHORIZED"]
    if not waiting and ours:
        return _continue(step, payments)
    failed = [payment.void_status for payment in waiting if payment.void_status in _FAILED]
    # A replay looks again, and voids what does not show a void: this one may have done nothing.
    if failed:
        raise Buried("void_failed", detail=failed[0], resume=State.AUTHORIZED)
    if step.waiting_for_ms >= step.settings.confirm_for_s * 1000:
        raise Buried("void_not_settled", resume=State.AUTHORIZED)
    why = "the authorization does not show as void yet"
    return step.wait(why, step.next_look_ms, effect_known=True)


def _payments(step: Step) -> tuple[Payment, ...]:
    return step.wix.list_transactions(step.order_id).payments


def _continue(step: Step, payments: Iterable[Payment]) -> Advance:
    """Continue with what is true now: the payment is captured or void, or the order cancelled."""
    if step.refund.flow == Flow.CANCELLATION:
        state = state_of(step.read_order())
        if state is State.CANCELLED:
            return found_cancelled(step, by_merchant=True)
        return Advance(to=state)
    if is_voided(payments):
        by_merchant = not step.refund.facts.void_ids
        return Advance(
            to=State.VOIDED,
            facts=Facts(effect="voided") | nothing_paid(step),
            by_merchant=by_merchant,
        )
    return Advance(to=State.REFUNDABLE)
