"""Orders placed before the cutoff: cancel them, after `worker.flows.unfulfilling` if necessary.

Cancelling an order at Wix moves no money; whoever took the payment returns it (W30, W90).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from decimal import Decimal
from types import MappingProxyType

from statemachine.flows import Flow, State
from worker.errors import Buried, EffectUnknown, Permanent, Rejected
from worker.flows.amounts import rounded
from worker.flows.paid_back import after_cancellation, nothing_paid, refundable_by_wix
from worker.flows.step import UNSURE, Advance, Step, Wait
from worker.refund.facts import NO_FACTS, CancelRefusal, Facts
from worker.refund.reasons import end_with
from worker.wix.models import Fulfillment, Order

#: Our reason for each error code with which Wix refuses a cancel. W31.
REFUSALS: Mapping[str, str] = MappingProxyType(
    {
        "ORDER_NOT_FOUND": "order_not_found",
        "ORDER_IS_PENDING": "order_pending",
        "ORDER_IS_REJECTED": "order_rejected",
        "ORDER_HAS_AUTHORIZED_TRANSACTION": "order_authorized",
    }
)


def state_of(order: Order) -> State:
    """Return the state of an order in this flow."""
    if order.is_cancelled:
        return State.CANCELLED
    return State.UNFULFILLED if order.is_unfulfilled else State.FULFILLED


def found_cancelled(step: Step, *, by_merchant: bool) -> Advance:
    """Finish: the order is already cancelled."""
    effect = "already_cancelled" if by_merchant else "order_cancelled"
    return Advance(
        to=State.CANCELLED,
        facts=Facts(effect=effect) | after_cancellation(step),
        found=not by_merchant,
        by_merchant=by_merchant,
    )


def check_allowed(order: Order, action: str) -> None:
    """Do not begin with an order that Wix shows as view-only (W25), lest it is half undone."""
    if not order.allows(action):
        raise end_with("order_view_only", detail=f"{action} is not allowed")


def check_may_cancel(order: Order) -> None:
    """Check whether Wix allows all that cancelling this order takes."""
    check_allowed(order, "CANCEL")
    if state_of(order) is State.FULFILLED:
        check_allowed(order, "FULFILL")


def begin_cancellation(step: Step, order: Order, facts: Facts = NO_FACTS) -> Advance:
    """Save the order's fulfillments, and continue in the state in which the order already is."""
    state = state_of(order)
    if state is State.CANCELLED:
        found = found_cancelled(step, by_merchant=True)
        return found._replace(flow=Flow.CANCELLATION, facts=facts | found.facts)
    check_may_cancel(order)
    if state is State.FULFILLED:
        listed = step.read_fulfillments()
        # After a replay, those that we have removed before are kept.
        saved = {known["id"]: known for known in step.facts.fulfillments}
        saved |= {fulfillment.id: fulfillment.whole() for fulfillment in listed}
        facts |= Facts(fulfillments=tuple(saved.values()))
    to = State.AUTHORIZED if order.has_authorization else state
    return Advance(to=to, flow=Flow.CANCELLATION, facts=facts)


def fulfillments_to_keep(step: Step, listed: Iterable[Fulfillment]) -> Facts:
    """Return the fulfillments to restore if need be: those listed, and those that we removed.

    What the merchant removed is not restored.
    """
    facts, listed = step.refund.facts, list(listed)
    saved = {f["id"]: f for f in facts.fulfillments}
    vanished = set(facts.vanished)
    if step.may_have_happened:
        # What disappeared after a call with an unknown effect counts as removed by us, because
        # nobody can know who removed it.
        vanished |= saved.keys() - set(facts.deleted)
    vanished -= {fulfillment.id for fulfillment in listed}
    removed = {i: f for i, f in saved.items() if i in {*facts.deleted, *vanished}}
    whole = removed | {f.id: f.whole() for f in listed}
    return Facts(fulfillments=tuple(whole.values()), vanished=tuple(sorted(vanished)))


def not_deleted(step: Step, listed: Iterable[Fulfillment]) -> list[Fulfillment]:
    """Leave out what Wix has confirmed as deleted, because a list may be stale."""
    deleted = step.facts.deleted
    return [fulfillment for fulfillment in listed if fulfillment.id not in deleted]


def cancel_order(step: Step) -> Advance | Wait:
    """Cancel the order once. Look first: the merchant or an earlier attempt may have done it."""
    order = _look(step, step.recent_order)
    if not isinstance(order, Order):
        return order
    if unsure := step.unsure_wait(f"an earlier cancel {UNSURE}"):
        return unsure
    if order.took_nothing and not step.facts.has_refunded:
        step.learn(nothing_paid(step))
    else:
        _check_refundable(step)
        step.learn(after_cancellation(step))
    request = step.refund.request
    try:
        cancelled = step.wix.cancel_order(
            step.order_id, restock=request.restock, notify_buyer=request.notify_buyer
        )
    except Permanent as error:
        # Wix may refuse because the order has just changed: look again. W32.
        again = _look(step, step.read_order)
        return _refused(step, error) if isinstance(again, Order) else again
    if not cancelled.is_cancelled:
        raise EffectUnknown(
            "cancel_order", status=200, detail="the answer does not show the order as cancelled"
        )
    return Advance(to=State.CANCELLED, facts=Facts(effect="order_cancelled"))


def _check_refundable(step: Step) -> None:
    """Say that Wix could refund the order's payments; leave it to a person if the settings do.

    Whether Wix refuses to refund an order of this age is only known from its answer. If our refund
    came first, what it left is told to upstream.
    """
    if step.facts.has_refunded:
        return
    amount = refundable_by_wix(step)
    if amount != 0 and step.settings.cancellation_refundable != "cancel":
        raise also_refundable(step, amount)
    if not amount:
        return
    amounts = {
        "amount": f"{rounded(amount, step.facts.currency):f}",
        "currency": step.facts.currency,
    }
    if not step.facts.also_refundable:
        step.notices.append({"event": "order.also_refundable", **amounts})
    step.learn(Facts(also_refundable=amounts["amount"]))


def also_refundable(step: Step, amount: Decimal | None) -> Buried:
    """Ask a person whether to cancel an order that Wix could refund; *amount* if Wix says it.

    A replay looks at the order and at the settings from the start.
    """
    currency = step.facts.currency
    known = f"{rounded(amount, currency):f} {currency}" if amount is not None else ""
    detail = known or "Wix does not say whether it could"
    return Buried("also_refundable", detail=detail, resume=State.ACCEPTED)


def _look(step: Step, read: Callable[[], Order]) -> Order | Advance | Wait:
    """Find out whether the order is already cancelled, or fulfilled again; return it if neither."""
    try:
        order = read()
    except Permanent as error:
        if wait := step.missing_wait(error):
            return wait
        raise _end(step, error) from None
    state = state_of(order)
    if state is State.CANCELLED:
        return found_cancelled(step, by_merchant=not step.may_have_happened)
    if state is State.UNFULFILLED:
        return order
    return _fulfilled_again(step) or order


def _fulfilled_again(step: Step) -> Advance | Wait | None:
    """Go back if the merchant has fulfilled the order; wait if Wix only shows it so."""
    listed = step.read_fulfillments()
    if not not_deleted(step, listed):
        if step.refund.facts.still_fulfilled:
            return None
        if step.looks + 1 < step.settings.unfulfill_looks:
            known = not step.may_have_happened
            return step.wait("the order shows as fulfilled", step.next_look_ms, effect_known=known)
    facts = next_round(step) | fulfillments_to_keep(step, listed) | Facts(still_fulfilled=False)
    return Advance(to=State.FULFILLED, facts=facts, by_merchant=True)


def next_round(step: Step) -> Facts:
    """Count a change of the order between our steps; end when there were too many."""
    rounds = step.refund.facts.rounds + 1
    if rounds > step.settings.order_rounds:
        raise end_with("order_keeps_changing", detail=f"it changed {rounds} times")
    return Facts(rounds=rounds)


def _refused(step: Step, error: Permanent) -> Advance | Wait:
    """Void first if Wix requires that; else undo what we did: recreate the fulfillments."""
    if error.code == "ORDER_HAS_AUTHORIZED_TRANSACTION":
        payments = step.wix.list_transactions(step.order_id).payments
        if any(payment.effective_status == "AUTHORIZED" for payment in payments):
            return Advance(to=State.AUTHORIZED, facts=next_round(step))
        if step.looks + 1 < step.settings.unfulfill_looks:
            still = "Wix still sees an authorized payment"
            return step.wait(still, step.next_look_ms, effect_known=True)
    if wait := step.missing_wait(error):
        return wait
    # A look has just shown the order, so that a 404 does not say that there is none.
    refusal = _end(step, error) if error.status != 404 else end_with(_unknown(step), error)
    saved = step.refund.facts.fulfillments
    if not saved or not step.settings.restore_fulfillments:
        raise refusal
    why = CancelRefusal(
        reason=refusal.reason,
        endpoint=error.endpoint,
        status=error.status,
        code=error.code,
        request_id=error.request_id,
    )
    return Advance(to=State.RESTORING, facts=Facts(refusal=why))


def _end(step: Step, error: Permanent) -> Rejected | Buried:
    """Return what the refund ends with when Wix refuses a call for good.

    What has changed the order, or moved money, is never told as a rejection.
    """
    end = end_with(REFUSALS.get(error.code or "", _unknown(step)), error)
    is_begun = step.facts.has_refunded or step.facts.deleted
    return end_with(_unknown(step), error) if isinstance(end, Rejected) and is_begun else end


def _unknown(step: Step) -> str:
    """Return our reason for a refusal that the table does not have."""
    if step.refund.facts.still_fulfilled:
        return "cannot_unfulfill"
    return "refunded_not_cancelled" if step.facts.has_refunded else "refused_by_wix"
