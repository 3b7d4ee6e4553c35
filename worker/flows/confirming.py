"""Wait until the payment provider has settled our refund; a 200 does not move money (W53)."""

from __future__ import annotations

from statemachine.flows import State
from worker.errors import Buried, Rejected
from worker.flows.own_refunds import facts_of, find_ours, overpayment, overpayment_text
from worker.flows.paid_back import after_refund
from worker.flows.refunding_first import for_a_person, is_first, settled
from worker.flows.standard import VANISHED_LOOKS
from worker.flows.step import Advance, Step, Wait
from worker.refund.facts import NO_FACTS, Facts
from worker.refund.provider_codes import in_words, remedy_for
from worker.refund.reasons import REASONS, end_with
from worker.wix.billing import Transactions, WixRefund


def confirm_refund(step: Step) -> Advance | Wait:
    """Check whether the provider settled it; a 200 does not mean that money moved (W53)."""
    try:
        return _confirm(step)
    except (Rejected, Buried) as end:
        raise (for_a_person(end) if is_first(step) else end) from None


def _confirm(step: Step) -> Advance | Wait:
    transactions = step.recent_transactions()
    refund = find_ours(step.refund, transactions)
    if too_much := overpayment(step.refund, transactions):
        step.learn((facts_of(refund) if refund else NO_FACTS) | Facts(overpaid=too_much))
        raise end_with("paid_twice", detail=overpayment_text(step.refund, too_much))
    misses = 0 if refund else step.refund.facts.misses + 1
    if misses > VANISHED_LOOKS:
        raise end_with("refund_vanished", detail=f"missing from Wix's list in {misses} looks")
    statuses = set(refund.statuses) if refund else set()
    if refund and statuses == {"SUCCEEDED"}:
        return _settled(step, refund, transactions)
    if refund and statuses and statuses <= {"SUCCEEDED", "FAILED"}:
        paid = Facts(refund_amount=f"{refund.sum_of('SUCCEEDED'):f}")
        step.learn(facts_of(refund) | paid)
        raise _failed(step, refund)
    if step.waiting_for_ms >= step.settings.confirm_for_s * 1000:
        raise end_with("refund_not_settled", detail=", ".join(sorted(statuses)))
    why, facts = "the payment provider has not settled it", Facts(misses=misses)
    return step.wait(why, step.next_look_ms, effect_known=True, facts=facts)


def _settled(step: Step, refund: WixRefund, transactions: Transactions) -> Advance:
    """Finish, unless a person must take care of what Wix could not refund.

    A full refund finishes if each missing payment alone would have been a rejection: upstream then
    gets the amounts and the reasons.
    """
    missing = step.refund.facts.not_refunded
    facts = facts_of(refund)
    facts |= after_refund(step, transactions, facts.payments)
    if missing:
        facts |= Facts(effect="partly_refunded")
    is_done = not step.refund.request.is_partial and all(
        one.reason in REASONS and REASONS[one.reason].ends == "rejected" for one in missing
    )
    if is_done or not missing:
        if is_first(step):
            return settled(step, transactions, facts)
        return Advance(to=State.REFUNDED, facts=facts)
    step.learn(facts)
    currency = step.refund.facts.currency
    parts = "; ".join(
        f"{f'{one.amount} {currency}' if one.amount else 'an unknown amount'}"
        f" of payment {one.payment_id} ({one.wix_code})"
        for one in missing
    )
    detail = f"{refund.total:f} {currency} refunded; not refunded: {parts}"
    raise end_with("partly_refunded", detail=detail)


def _failed(step: Step, refund: WixRefund) -> Rejected | Buried:
    """Return the end of a refund that failed; if only a part did, a person needs both amounts."""
    codes = sorted({code[:40] for code in refund.failures()})
    if "SUCCEEDED" not in refund.statuses:
        return end_with("refund_failed", detail=in_words(codes), remedy=remedy_for(codes))
    paid, failed = refund.sum_of("SUCCEEDED"), refund.sum_of("FAILED")
    currency = step.refund.facts.currency
    detail = f"paid {paid:f} {currency}, failed {failed:f} {currency}: {in_words(codes)}"
    return end_with("refund_mixed", detail=detail)
