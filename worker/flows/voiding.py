"""Payments that are authorized, not captured: no money moved yet, so they are voided.

A void is asynchronous; what was captured meanwhile is refunded or cancelled as any payment.
W75.
"""

from __future__ import annotations

from collections.abc import Iterable

from statemachine.flows import Flow, State
from worker.errors import Permanent
from worker.flows.cancellation import found_cancelled, state_of
from worker.flows.step import Advance, Step, Wait
from worker.refund.reasons import end_with
from worker.wix.billing import Payment, is_voided

#: Refusals that say: the payment is not what it was. Look at it again. W75.
_CHANGED = frozenset(
    {"PAYMENT_ALREADY_CAPTURED", "PAYMENT_ALREADY_VOIDED", "PAYMENT_NOT_AUTHORIZED"}
)
#: Statuses of a void that will not succeed; Wix documents none of them (unknown).
_FAILED = frozenset({"FAILED", "DECLINED", "REJECTED"})


def void_payments(step: Step) -> Advance | Wait:
    """Void every authorized payment in one call; safe to repeat, Wix voids only once."""
    payments = _payments(step)
    authorized = [payment for payment in payments if payment.stands == "AUTHORIZED"]
    if not authorized:
        return _go_on(step, payments)
    ids = [payment.id for payment in authorized]
    if all(payment.void_status and payment.void_status not in _FAILED for payment in authorized):
        return Advance(to=State.VOID_SUBMITTED, facts={"void_ids": ids}, found=True)
    try:
        step.wix.void_payments(step.order_id, ids)
    except Permanent as error:
        if error.code not in _CHANGED:
            raise end_with("void_failed", error) from None
        if step.looks + 1 >= step.settings.unfulfill_looks:
            raise end_with("void_failed", error) from None
        return step.wait("the payment changed meanwhile", step.next_look_ms)
    return Advance(to=State.VOID_SUBMITTED, facts={"void_ids": ids})


def confirm_void(step: Step) -> Advance | Wait:
    """Look whether the authorization is void; an answer of 200 only took the wish."""
    payments = _payments(step)
    ours = [payment for payment in payments if payment.id in step.refund.facts["void_ids"]]
    waiting = [payment for payment in ours if payment.stands == "AUTHORIZED"]
    if not waiting and ours:
        return _go_on(step, payments)
    failed = [payment.void_status for payment in waiting if payment.void_status in _FAILED]
    if failed:
        raise end_with("void_failed", detail=failed[0])
    if step.waiting_for_ms >= step.settings.confirm_for_s * 1000:
        raise end_with("void_not_settled")
    return step.wait("the authorization does not show as void", step.next_look_ms)


def _payments(step: Step) -> tuple[Payment, ...]:
    return step.wix.list_transactions(step.order_id).payments


def _go_on(step: Step, payments: Iterable[Payment]) -> Advance:
    """On from what is true now: captured meanwhile, voided, or cancelled."""
    if step.refund.flow == Flow.CANCELLATION:
        state = state_of(step.wix.get_order(step.order_id))
        if state is State.CANCELLED:
            return found_cancelled(by_merchant=True)
        return Advance(to=state)
    if is_voided(payments):
        by_merchant = "void_ids" not in step.refund.facts
        return Advance(to=State.VOIDED, facts={"effect": "voided"}, by_merchant=by_merchant)
    return Advance(to=State.REFUNDABLE)
