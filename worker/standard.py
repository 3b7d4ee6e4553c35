"""Orders placed on or after the cutoff: one refund call, then wait for the payment provider.

The call has no idempotency key; our fingerprint in `customerReason` takes its place.
Source: wix-api.md 0.5-0.7 [D/I], 6.3.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from statemachine.flows import State
from worker.errors import Buried, Permanent, Rejected, Retryable
from worker.step import Advance, Step, Wait
from worker.wix.models import PaymentRefundability, Transactions, WixRefund

#: The provider may be asked again; a refund on its way must end first. Source: 2.13 [D].
RETRYABLE_REASONS = frozenset({"PROVIDER_IS_DOWN", "PENDING_REFUND"})
#: Looks at a refund that Wix answered with but does not list.
VANISHED_LOOKS = 10

#: Documented refusals of the call: an answer for upstream. All others need a person. Source: 2.15.
_REFUSALS = {
    "ORDER_NOT_FOUND": "order_not_found",
    "PAYMENT_NOT_REFUNDABLE": "not_refundable",
    "PAYMENT_NOT_FOUND": "not_refundable",
    "INVALID_PAYMENT_REFUND_AMOUNT": "not_refundable",
}
#: Clocks of Wix and of our server may differ by so much.
CLOCKS_MS = 300_000

PaymentRefund = tuple[str, Decimal | None, bool]
"""Payment id, amount (None for a gift card or membership), whether only recorded."""


def submit_refund(step: Step) -> Advance | Wait:
    """Refund all that can still be refunded, in one call, unless an earlier attempt did."""
    looked = _look(step)
    if looked:
        return looked
    if step.unsure_for_ms:
        return Wait(why="an earlier refund call may still show", in_ms=step.unsure_for_ms)
    try:
        payments = _payments(step)
        request = step.refund.request
        refund = step.wix.submit_refund(
            step.order_id,
            payments,
            customer_reason=step.refund.customer_reason,
            notify_buyer=request.notify_buyer,
        )
    except Permanent as error:
        return _refused(step, error)
    return Advance(to=State.REFUND_SUBMITTED, facts=_facts(refund))


def _refused(step: Step, error: Permanent) -> Advance:
    """A refusal is final only when no earlier call of ours can be what Wix refuses it for."""
    reason = str(error.facts.get("nonRefundableReason", ""))
    if reason in RETRYABLE_REASONS:
        request_id = error.request_id
        raise Retryable(error.endpoint, status=error.status, code=reason, request_id=request_id)
    if step.may_have_happened:
        looked = _look(step)
        if looked:
            return looked
        raise Buried("outcome_unknown", error)
    if error.code == "EXTERNAL_REFUND_EXPECTED":
        raise Buried("manual_payment", error)
    if error.code in _REFUSALS:
        raise Rejected(_REFUSALS[error.code], error, detail=reason)
    raise Buried("refused_by_wix", error)


def _look(step: Step) -> Advance | None:
    """Find our own refund among the order's."""
    transactions = step.wix.list_transactions(step.order_id)
    ours = _ours(step, transactions)
    if ours:
        return Advance(to=State.REFUND_SUBMITTED, facts=_facts(ours), found=True)
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


def _ours(step: Step, transactions: Transactions) -> WixRefund | None:
    known_id = step.refund.facts.get("wix_refund_id")
    for refund in transactions.refunds:
        if refund.id == known_id or step.refund.fingerprint in refund.reason:
            return refund
    return None


def _facts(refund: WixRefund) -> dict[str, Any]:
    return {"wix_refund_id": refund.id, "refund_amount": str(refund.total)}


def _payments(step: Step) -> list[PaymentRefund]:
    """Choose what to refund of each payment, or say why nothing can be.

    Raises:
        Rejected: nothing is left to refund, or Wix cannot refund a payment.
        Buried: a person must move the money, or must find out whether we did.
        Retryable: it may work later.
    """
    answer = step.wix.get_order_refundability(step.order_id)
    open_payments = [p for p in answer.payments if not _is_refunded(p)]
    if not open_payments:
        if step.may_have_happened:
            raise Buried("outcome_unknown", detail="all payments are refunded; was it us?")
        if not answer.payments:
            raise Rejected("not_refundable", detail="the order has no payment")
        raise Rejected("already_refunded")
    return [_payment(step, payment) for payment in open_payments]


def _is_refunded(payment: PaymentRefundability) -> bool:
    why = payment.non_refundable
    return bool(why and why.reason in {"ALREADY_REFUNDED", "ZERO_PRICE"})


def _payment(step: Step, payment: PaymentRefundability) -> PaymentRefund:
    payment_id = payment.payment.payment_id
    if payment.non_refundable:
        reason = payment.non_refundable.reason
        if reason in RETRYABLE_REASONS:
            raise Retryable("get_order_refundability", status=200, code=reason)
        cause = Permanent(
            "get_order_refundability", status=200, code=reason, request_id=step.wix.request_id
        )
        if step.may_have_happened:
            raise Buried("outcome_unknown", cause)
        raise Rejected("not_refundable", cause)
    if payment.manually_refundable:
        if step.refund.request.manual_payments == "escalate":
            reason = payment.manually_refundable.reason
            cause = Permanent(
                "get_order_refundability", status=200, code=reason, request_id=step.wix.request_id
            )
            raise Buried("manual_payment", cause)
        return payment_id, payment.max_refund, True
    return payment_id, payment.max_refund, False


def confirm_refund(step: Step) -> Advance | Wait:
    """Look whether the provider settled it. An answer of 200 did not move money [D]."""
    refund = _ours(step, step.wix.list_transactions(step.order_id))
    misses = 0 if refund else int(step.refund.facts.get("misses", 0)) + 1
    if misses > VANISHED_LOOKS:
        raise Buried("refund_vanished", detail=f"not there in {misses} looks")
    statuses = set(refund.statuses) if refund else set()
    if refund and statuses == {"SUCCEEDED"}:
        return Advance(to=State.REFUNDED, facts=_facts(refund))
    if refund and statuses and statuses <= {"SUCCEEDED", "FAILED"}:
        codes = ", ".join(sorted(set(refund.failures())))
        raise (Buried if "SUCCEEDED" in statuses else Rejected)(
            "refund_mixed" if "SUCCEEDED" in statuses else "refund_failed", detail=codes
        )
    if step.waiting_for_ms >= step.settings.confirm_for_s * 1000:
        raise Buried("refund_not_settled", detail=", ".join(sorted(statuses)))
    in_ms = min(
        step.settings.confirm_cap_ms, step.settings.confirm_first_ms * 2 ** min(step.looks, 40)
    )
    return step.wait("the payment provider has not settled it", in_ms, misses=misses)
