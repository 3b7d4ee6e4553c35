"""Orders placed on or after the cutoff: one refund call, then wait for the payment provider.

The call has no idempotency key; our fingerprint in `customerReason` takes its place.
W53, W64, W67.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from types import MappingProxyType
from typing import Any

from statemachine.flows import State
from worker.errors import Buried, Permanent, Rejected
from worker.flows.manual_payments import told
from worker.flows.payments import WAITING, code_of, is_waiting, shares, sort
from worker.flows.refund_body import asked, total_of
from worker.flows.step import Advance, Step, Wait
from worker.refund.reasons import end_with
from worker.refund.record import Refund
from worker.wix.billing import Transactions, WixRefund

#: Looks at a refund that Wix answered with but does not list.
VANISHED_LOOKS = 10
#: Clocks of Wix and of our server may differ by so much.
CLOCKS_MS = 300_000

#: Documented refusals of the call; all others need a person. W65.
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
#: Looks at an order whose refundable sum changed between our question and our call.
CHANGED_LOOKS = 3


def submit_refund(step: Step) -> Advance | Wait:
    """Refund what was asked for, in one call, unless an earlier attempt did."""
    transactions = step.wix.list_transactions(step.order_id)
    looked = _look(step, transactions)
    if looked:
        return looked
    if step.unsure_for_ms:
        return Wait(why="an earlier refund call may still show", in_ms=step.unsure_for_ms)
    try:
        return _submit(step, transactions)
    except (Rejected, Buried) as no:
        no = _after_paying(step, no)
        if step.may_have_happened and not step.is_vouched and no.reason != "outcome_unknown":
            # What it ends for may be what an earlier call of ours did. Nobody is told to pay then.
            by_hand = no.reason == "manual_payment"
            detail = "only a person could pay what is left" if by_hand else no.detail or no.reason
            no = Buried("outcome_unknown", no.cause, detail)
        raise no from None


def _after_paying(step: Step, no: Rejected | Buried) -> Rejected | Buried:
    """No refund is told as not done of which a person has paid a part."""
    paid = told(step)
    if not paid or (isinstance(no, Buried) and no.reason != "after_manual_payment"):
        return no
    detail = f"paid by hand: {paid}; {no.reason}: {no.detail}"
    return Buried("after_manual_payment", no.cause, detail)


def _submit(step: Step, transactions: Transactions) -> Advance | Wait:
    authorized = any(payment.stands == "AUTHORIZED" for payment in transactions.payments)
    if authorized and not step.refund.request.is_partial:
        return _void_first(step)
    total = total_of(step)
    answer = step.wix.get_order_refundability(step.order_id)
    found = sort(step, answer, transactions)
    if is_waiting(found, total):
        return _wait(step, found.waiting[0])
    unlisted = any(p.gone > transactions.gone_of(p.payment.payment_id) for p in answer.payments)
    if step.may_have_happened and not step.is_vouched and unlisted:
        return _unlisted(step)
    if authorized and not (found.sources or found.paid or found.manual):
        raise end_with("authorized_only_in_full")
    chosen = shares(step, found, total)
    try:
        refund = step.wix.submit_refund(step.order_id, asked(step, chosen, answer))
    except Permanent as error:
        return _refused(step, error)
    return Advance(to=State.REFUND_SUBMITTED, facts=facts_of(refund))


def _void_first(step: Step) -> Advance:
    """An authorized payment is voided, not refunded; what else was paid is refunded after it."""
    rounds = int(step.refund.facts.get("rounds", 0)) + 1
    if rounds > step.settings.order_rounds:
        raise end_with("order_keeps_changing", detail=f"authorized again {rounds} times")
    return Advance(to=State.AUTHORIZED, facts={"rounds": rounds})


def _unlisted(step: Step) -> Wait:
    """More went back than the listed refunds tell of: ours may be on its way into the list."""
    if step.looks + 1 >= VANISHED_LOOKS:
        raise Buried("outcome_unknown", detail="more was refunded than Wix lists refunds of")
    return step.wait("Wix does not list all refunds yet", step.next_look_ms, effect_known=False)


def _wait(step: Step, word: str) -> Wait:
    """The provider is down, or another refund is on its way: look again, for a bounded time."""
    if step.waiting_for_ms >= step.settings.confirm_for_s * 1000:
        raise end_with(WAITING[word], detail=word)
    known = not step.may_have_happened
    return step.wait(f"Wix says {word}", step.next_look_ms, effect_known=known)


def _refused(step: Step, error: Permanent) -> Advance | Wait:
    """A refusal is final only when no earlier call of ours can be what Wix refuses it for."""
    word = str(error.facts.get("nonRefundableReason", ""))
    if word in WAITING:
        return _wait(step, word)
    if step.may_have_happened and not step.is_vouched:
        looked = _look(step, step.wix.list_transactions(step.order_id))
        if looked:
            return looked
        raise Buried("outcome_unknown", error)
    payment_id, known = error.facts.get("paymentId"), step.refund.facts.get("manual_ids", [])
    if error.code == "EXTERNAL_REFUND_EXPECTED" and payment_id and payment_id not in known:
        facts = {"manual_ids": [*known, payment_id]}
        return Wait(why="Wix cannot move it itself", in_ms=0, facts=facts, effect_known=True)
    changed = int(step.refund.facts.get("changed", 0)) + 1
    if error.code == "INVALID_PAYMENT_REFUND_AMOUNT" and changed < CHANGED_LOOKS:
        # Somebody refunded a part a moment ago: what is left is asked for anew.
        return step.wait("Wix says that less is left", step.next_look_ms, changed=changed)
    if error.code == "PAYMENT_NOT_REFUNDABLE":
        raise end_with(code_of(word) if word else "not_refundable", error, word)
    raise end_with(REFUSALS.get(error.code or "", "refused_by_wix"), error)


def _look(step: Step, transactions: Transactions) -> Advance | None:
    """Find our own refund among the order's."""
    ours = find_ours(step.refund, transactions)
    if ours:
        return Advance(to=State.REFUND_SUBMITTED, facts=facts_of(ours), found=True)
    if not step.may_have_happened:
        step.notes["refunds_before"] = [refund.id for refund in transactions.refunds]
    elif any(_may_be_ours(step, refund) for refund in transactions.refunds):
        # It may be ours without its mark, or the merchant's: only a person can tell.
        raise Buried("outcome_unknown", detail="the order got a refund without any reason")
    return None


def _may_be_ours(step: Step, refund: WixRefund) -> bool:
    """Whether a refund without our mark may still be what an unclear call of ours did."""
    if refund.reason or refund.id in step.refund.facts.get("refunds_before", []):
        return False
    # Older than our job, or than a person's word that it is not ours.
    since_ms = max(step.refund.accepted_at_ms - CLOCKS_MS, step.refund.replayed_at_ms)
    created = refund.created_date
    return created is None or created.timestamp() * 1000 >= since_ms


def find_ours(refund: Refund, transactions: Transactions) -> WixRefund | None:
    """The refund that we asked for, by Wix's id or by our fingerprint."""
    known_id = refund.facts.get("wix_refund_id")
    for listed in transactions.refunds:
        if listed.id == known_id or refund.fingerprint in listed.reason:
            return listed
    return None


def facts_of(refund: WixRefund) -> dict[str, Any]:
    """What we keep of it: Wix's id, the sum, and how each payment's part stands."""
    parts = [
        {
            "payment_id": part.payment_id,
            "amount": f"{part.amount.amount:f}" if part.amount else None,
            "status": part.refund_status,
            "external": part.external_refund,
        }
        for part in refund.transactions
    ]
    recorded = all(part["external"] for part in parts)
    return {
        "wix_refund_id": refund.id,
        "refund_amount": f"{refund.total:f}",
        "payments": parts,
        "effect": "refund_recorded" if recorded else "payments_refunded",
    }


def confirm_refund(step: Step) -> Advance | Wait:
    """Look whether the provider settled it. An answer of 200 did not move money (documented)."""
    refund = find_ours(step.refund, step.wix.list_transactions(step.order_id))
    misses = 0 if refund else int(step.refund.facts.get("misses", 0)) + 1
    if misses > VANISHED_LOOKS:
        raise end_with("refund_vanished", detail=f"not there in {misses} looks")
    statuses = set(refund.statuses) if refund else set()
    if refund and statuses == {"SUCCEEDED"}:
        return Advance(to=State.REFUNDED, facts=facts_of(refund))
    if refund and statuses and statuses <= {"SUCCEEDED", "FAILED"}:
        step.notes.update(facts_of(refund))
        raise _failed(step, refund)
    if step.waiting_for_ms >= step.settings.confirm_for_s * 1000:
        raise end_with("refund_not_settled", detail=", ".join(sorted(statuses)))
    return step.wait("the payment provider has not settled it", step.next_look_ms, misses=misses)


def _failed(step: Step, refund: WixRefund) -> Exception:
    """All of it failed, or a part: then a person needs both amounts."""
    codes = ", ".join(sorted(set(refund.failures())))
    paid = refund.sum_of("SUCCEEDED")
    step.notes["refund_amount"] = f"{paid:f}"
    if "SUCCEEDED" not in refund.statuses:
        return end_with("refund_failed", detail=codes)
    failed: Decimal = refund.sum_of("FAILED")
    currency = step.refund.facts.get("currency", "")
    return end_with(
        "refund_mixed", detail=f"paid {paid:f} {currency}, failed {failed:f} {currency}: {codes}"
    )
