"""Orders placed on or after the cutoff: one refund call.

The call has no idempotency key: our fingerprint in `customerReason` takes its place (W64).
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from statemachine.flows import State
from worker.errors import Buried, Permanent, Rejected, Unreadable
from worker.flows.amounts import total_of
from worker.flows.manual_payments import paid_manually_text
from worker.flows.own_refunds import (
    facts_of,
    find_ours,
    may_be_ours,
    returned_by,
)
from worker.flows.payments import WAITING, code_of, left_out, sort_payments
from worker.flows.planning import Plan, is_waiting, plan_refund
from worker.flows.refund_body import refund_body
from worker.flows.refunding_first import SUBMITTED, is_first, refused
from worker.flows.step import UNSURE, Advance, Step, Wait
from worker.flows.totals import asked_of, fitted
from worker.flows.unlisted import may_hide_ours, unlisted_before
from worker.refund.facts import Facts
from worker.refund.reasons import end_with
from worker.wix.billing import Transactions
from worker.wix.refundability import Refundability

#: How many looks in a row may miss a refund that Wix accepted.
VANISHED_LOOKS = 10

#: Our reason for each documented refusal of the call; all others need a person. W65.
REFUSALS: Mapping[str, str] = MappingProxyType(
    {
        "ORDER_NOT_FOUND": "order_not_found",
        "PAYMENT_NOT_FOUND": "payment_not_found",
        "INVALID_PAYMENT_REFUND_AMOUNT": "amount_exceeds_refundable",
        "INVALID_ADDITIONAL_FEE_REFUND_AMOUNT": "lines_not_refundable",
        "INVALID_SHIPPING_REFUND_AMOUNT": "lines_not_refundable",
        "INVALID_LINE_ITEM_REFUND_QUANTITY": "lines_not_refundable",
        "LINE_ITEM_NOT_FOUND": "lines_not_refundable",
        "ADDITIONAL_FEE_NOT_FOUND": "lines_not_refundable",
        "SHIPPING_NOT_FOUND": "lines_not_refundable",
        "INVALID_LINE_ITEM_RESTOCK_QUANTITY": "restock_refused",
        "PARTIAL_REFUND_FOR_MULTIPLE_LOCATIONS_NOT_ALLOWED": "restock_refused",
    }
)
#: Refusals because of one payment, and Wix's reason if the refusal does not name one.
ONE_PAYMENT: Mapping[str, str] = MappingProxyType(
    {
        "PAYMENT_NOT_REFUNDABLE": "UNKNOWN_REASON",
        "PAYMENT_NOT_FOUND": "TRANSACTION_NOT_FOUND",
    }
)
#: How many times an order may change between our reading it and our refund call.
CHANGED_LOOKS = 3


def submit_refund(step: Step) -> Advance | Wait:
    """Refund what the job asks for in one call, unless an earlier attempt did."""
    transactions = step.read_transactions()
    found = _look(step, transactions)
    if found:
        return found
    if unsure := step.unsure_wait(f"an earlier refund call {UNSURE}"):
        return unsure
    if step.refund.facts.look_only:
        raise Buried("outcome_unknown", detail="Wix still does not show it")
    try:
        return _submit(step, transactions)
    except (Rejected, Buried) as end:
        end = _safe_end(step, end)
        if is_first(step):
            return refused(step, end)
        raise end from None


def _safe_end(step: Step, end: Rejected | Buried) -> Rejected | Buried:
    """Return what the refund may end with, given that money may already have moved."""
    end = _after_manual_payment(step, end)
    if not step.effect_in_doubt or end.reason == "outcome_unknown":
        return end
    # Our earlier call may be the reason for this end, so nobody is asked to pay.
    is_manual = end.reason == "manual_payment"
    detail = "only a person could pay what is left" if is_manual else end.detail or end.reason
    return Buried("outcome_unknown", end.cause, detail)


def _after_manual_payment(step: Step, end: Rejected | Buried) -> Rejected | Buried:
    """Never report a refund as rejected when a person has already paid part of it."""
    paid = paid_manually_text(step.facts)
    if not paid or (isinstance(end, Buried) and end.reason != "after_manual_payment"):
        return end
    detail = f"paid manually: {paid}; {end.reason}: {end.detail}"
    return Buried("after_manual_payment", end.cause, detail)


def _submit(step: Step, transactions: Transactions) -> Advance | Wait:
    statuses = {payment.effective_status for payment in transactions.payments}
    if "AUTHORIZED" in statuses and not step.refund.request.is_partial and not is_first(step):
        return _void_first(step)
    asked = asked_of(step)
    answer = _refundability(step, transactions)
    payments = sort_payments(step, answer, transactions)
    total = fitted(step, asked, payments, answer)
    if is_waiting(payments, total):
        return _wait(step, payments.waiting[0])
    if step.effect_in_doubt and may_hide_ours(step, answer, transactions):
        return _unlisted(step)
    if "AUTHORIZED" in statuses and not (payments.sources or payments.paid or payments.manual):
        raise end_with("authorized_only_in_full")
    plan = plan_refund(step, payments, total)
    step.learn(plan.facts)
    if plan.refusal and plan.refusal.reason == "already_refunded":
        plan.refusal.detail = returned_by(step, transactions) or plan.refusal.detail
    if plan.refusal:
        raise plan.refusal
    found = Facts(
        not_refunded=plan.not_refunded,
        unlisted_before=step.refund.facts.unlisted_before
        if step.effect_in_doubt
        else unlisted_before(answer, transactions),
    )
    if wait := _save_first(step, found):
        return wait
    step.moves = total_of(plan.shares)
    try:
        refund = step.wix.submit_refund(step.order_id, refund_body(step, plan.shares, answer))
        step.note_refund(refund)
    except Permanent as error:
        return _refused(step, error, plan)
    return Advance(to=SUBMITTED[step.refund.state], facts=facts_of(refund))


def _save_first(step: Step, found: Facts) -> Wait | None:
    """Save what Wix shows only before the call, unless it is saved already.

    That is what it cannot refund, and what it has refunded without listing it.
    """
    known = step.refund.facts
    if _essence(found) == _essence(known):
        return None
    is_change = bool(known.not_refunded or known.unlisted_before)
    changed = known.changed + is_change
    if changed > CHANGED_LOOKS:
        raise end_with("order_keeps_changing", detail="what Wix can refund kept changing")
    why = "what Wix shows only before the call is saved first"
    is_known = not step.may_have_happened
    return Wait(why=why, in_ms=0, effect_known=is_known, facts=found | Facts(changed=changed))


def _essence(facts: Facts) -> tuple[object, ...]:
    missing = [(one.payment_id, one.amount) for one in facts.not_refunded]
    return missing, facts.unlisted_before


def _refundability(step: Step, transactions: Transactions) -> Refundability:
    answer = step.wix.get_order_refundability(step.order_id)
    if left_out(answer, transactions):
        detail = "it does not have all of the order's payments"
        raise Unreadable("get_order_refundability", status=200, detail=detail)
    return answer


def _void_first(step: Step) -> Advance:
    """Void the authorized payment; whatever else was paid is refunded after that."""
    rounds = step.refund.facts.rounds + 1
    if rounds > step.settings.order_rounds:
        raise end_with("order_keeps_changing", detail=f"authorized again {rounds} times")
    return Advance(to=State.AUTHORIZED, facts=Facts(rounds=rounds))


def _unlisted(step: Step) -> Wait:
    """Wait: Wix may have carried out our refund without listing it yet (unknown, W52)."""
    if step.looks + 1 >= VANISHED_LOOKS:
        raise Buried(
            "outcome_unknown", detail="more was refunded than the listed refunds add up to"
        )
    return step.wait("Wix does not list all refunds yet", step.next_look_ms, effect_known=False)


def _wait(step: Step, wix_reason: str) -> Wait:
    """Wait, for a limited time: the provider is down, or another refund is pending."""
    if step.waiting_for_ms >= step.settings.confirm_for_s * 1000:
        raise end_with(WAITING[wix_reason], detail=wix_reason)
    known = not step.may_have_happened
    return step.wait(f"Wix says {wix_reason}", step.next_look_ms, effect_known=known)


def _refused(step: Step, error: Permanent, plan: Plan) -> Advance | Wait:
    """Act on a refusal; it is final only if our earlier calls cannot have caused it."""
    wix_reason = str(error.facts.get("nonRefundableReason", ""))
    if wix_reason in WAITING:
        return _wait(step, wix_reason)
    if step.effect_in_doubt:
        found = _look(step, step.wix.list_transactions(step.order_id))
        if found:
            return found
        raise Buried("outcome_unknown", error)
    if facts := _about_one_payment(step, error, plan):
        why = "Wix cannot refund one of the payments"
        return Wait(why=why, in_ms=0, effect_known=True, facts=facts)
    changed = step.refund.facts.changed + 1
    if error.code == "INVALID_PAYMENT_REFUND_AMOUNT" and changed < CHANGED_LOOKS:
        # Someone refunded a part a moment ago: calculate again.
        why, facts = "Wix says that less is left", Facts(changed=changed)
        return step.wait(why, step.next_look_ms, effect_known=True, facts=facts)
    if error.status == 404 and error.code in {None, "ORDER_NOT_FOUND"}:
        return _missing(step, error)
    if error.code == "PAYMENT_NOT_REFUNDABLE":
        # A refusal without a reason may pass, or not: a person must find out.
        raise end_with(code_of(wix_reason), error, wix_reason)
    raise end_with(REFUSALS.get(error.code or "", "refused_by_wix"), error)


def _missing(step: Step, error: Permanent) -> Wait:
    """Look again before Wix is believed that the order, which was read before, does not exist."""
    if wait := step.missing_wait(error):
        return wait
    try:
        step.wix.get_order(step.order_id)
    except Permanent as again:
        raise end_with(REFUSALS.get(again.code or "", "refused_by_wix"), again) from None
    raise end_with("refused_by_wix", error)


def _about_one_payment(step: Step, error: Permanent, plan: Plan) -> Facts | None:
    """Return what a refusal says about one payment, if it is new: the call is planned again."""
    payment_id, facts = str(error.facts.get("paymentId", "")), step.refund.facts
    if (
        error.code == "EXTERNAL_REFUND_EXPECTED"
        and payment_id
        and payment_id not in facts.manual_ids
    ):
        return Facts(manual_ids=(*facts.manual_ids, payment_id))
    sent = {share.source.payment_id for share in plan.shares}
    unnamed = ONE_PAYMENT.get(error.code or "")
    if unnamed is None or payment_id not in sent or len(sent) == 1:
        return None
    reason = str(error.facts.get("nonRefundableReason") or unnamed)
    return Facts(refused_payments=facts.refused_payments | {payment_id: reason})


def _look(step: Step, transactions: Transactions) -> Advance | None:
    """Find our own refund among those of the order."""
    ours = find_ours(step.refund, transactions)
    if ours:
        return Advance(to=SUBMITTED[step.refund.state], facts=facts_of(ours), found=True)
    if not step.may_have_happened:
        before = tuple(refund.id for refund in transactions.refunds)
        step.learn(Facts(refunds_before=before))
    elif step.effect_in_doubt and any(may_be_ours(step, one) for one in transactions.refunds):
        # It may be ours with a changed fingerprint, or the merchant's: a person must find out.
        raise Buried("outcome_unknown", detail="the order has a new refund that may be ours")
    return None
