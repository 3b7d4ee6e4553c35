"""What the order took, what Wix returned of it, and what somebody still has to pay back.

A cancel moves no money (W30); the dashboard's "Cancel & Refund" does. Upstream needs both sums.
They are for people: an answer that does not say them must not stop a refund, so they may be
unknown.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from decimal import Decimal
from typing import TypeVar

from worker.errors import CallFailed, Retryable, Unreadable
from worker.flows.amounts import rounded
from worker.flows.step import Step
from worker.refund.facts import NO_FACTS, Facts, PaidPayment, RefundedPayment
from worker.wix.billing import NOTHING_PAID, Payment, RefundTransaction, Transactions
from worker.wix.refundability import PaymentRefundability, Refundability

Answer = TypeVar("Answer", Transactions, Refundability)

#: Wix's reasons why nothing of a payment is left to be paid back.
_RETURNED_BY_OTHERS = frozenset({"ALREADY_REFUNDED", "AMOUNT_OFFSET_BY_CHARGEBACK"})
#: Attempts at a call that only tells upstream more; then the refund goes on without its answer.
ATTEMPTS = 3


def after_cancellation(step: Step) -> Facts:
    """Return what a cancelled order leaves to be paid back: all that was not returned so far."""
    transactions = _optional(step, lambda: step.wix.list_transactions(step.order_id))
    if transactions is None:
        return NO_FACTS
    return left_to_pay(step, transactions)


def left_to_pay(step: Step, transactions: Transactions) -> Facts:
    """Return what these transactions of a cancelled order leave to be paid back."""
    return left_of(transactions, step.facts.currency, unpaid=_unpaid(step))


def left_of(transactions: Transactions, currency: str, *, unpaid: Decimal = Decimal(0)) -> Facts:
    """Return what a cancelled order leaves to be paid back; *unpaid* was only recorded by us."""
    try:
        paid = tuple(_paid(transactions.payments))
    except Unreadable:
        return NO_FACTS
    parts = [part for refund in transactions.refunds for part in refund.transactions]
    parts = [part for part in parts if part.refund_status != "FAILED"]
    if _lacks_amounts(transactions.payments, parts):
        return Facts(paid=paid)
    by_wix = [part for part in parts if not part.external_refund]
    taken = {one.payment_id for one in paid}
    owed = _sum(_owed(p, parts) for p in transactions.payments if p.id in taken)
    return _facts(currency, paid, moved=_sum_of(by_wix), owed=owed + unpaid)


def _owed(payment: Payment, parts: Iterable[RefundTransaction]) -> Decimal:
    """Return what is left to pay back of a payment; what a bank has taken back is not."""
    if payment.amount is None:
        return Decimal(0)
    returned = _sum_of(part for part in parts if part.payment_id == payment.id)
    charged_back = payment.charged_back or Decimal(0)
    return max(payment.amount.amount - returned - charged_back, Decimal(0))


def _unpaid(step: Step) -> Decimal:
    """Return what our own refund only recorded at Wix, and no person has confirmed as paid."""
    ours = [part for part in step.facts.payments if part.external and part.status != "FAILED"]
    if step.facts.manual_done:
        return Decimal(0)
    return _sum(Decimal(part.amount) for part in ours if part.amount)


def _lacks_amounts(payments: Iterable[Payment], parts: Iterable[RefundTransaction]) -> bool:
    """Whether Wix leaves out an amount that the sums need; a membership has none."""
    with_amounts = {p.id: p for p in payments if p.membership_payment_details is None}
    return any(p.amount is None or p.charged_back is None for p in with_amounts.values()) or any(
        part.amount is None and part.payment_id in with_amounts for part in parts
    )


def after_refund(step: Step, transactions: Transactions, parts: Iterable[RefundedPayment]) -> Facts:
    """Return what a settled refund leaves to be paid back: the parts that Wix only recorded."""
    try:
        paid = tuple(_paid(transactions.payments))
    except Unreadable:
        return NO_FACTS
    parts = [part for part in parts if part.amount is not None]
    moved = _sum(Decimal(part.amount or 0) for part in parts if not part.external)
    recorded = _sum(Decimal(part.amount or 0) for part in parts if part.external)
    # A person who confirmed the payment has paid what was recorded.
    owed = Decimal(0) if step.facts.manual_done else recorded
    for missing in step.facts.not_refunded:
        if missing.wix_code not in _RETURNED_BY_OTHERS:
            if missing.amount is None:
                return _facts(step.facts.currency, paid, moved=moved)
            owed += Decimal(missing.amount)
    return _facts(step.facts.currency, paid, moved=moved, owed=owed)


def refundable_by_wix(step: Step) -> Decimal | None:
    """Return the sum that Wix could refund itself, None if it does not say."""
    answer = refundability_if_told(step)
    return None if answer is None else sum_of(open_at_wix(answer))


def sum_of(payments: Iterable[PaymentRefundability]) -> Decimal:
    """Return what Wix could refund of these payments; a membership has no amount."""
    return _sum(one.max_refund for one in payments)


def refundability_if_told(step: Step) -> Refundability | None:
    """Return what Wix could refund of the order, None if it does not say."""
    return _optional(step, lambda: step.wix.get_order_refundability(step.order_id))


def open_at_wix(answer: Refundability) -> list[PaymentRefundability]:
    """Return the payments of which Wix could refund something itself."""
    return [
        one
        for one in answer.payments
        if one.non_refundable is None and one.manually_refundable is None and one.max_refund != 0
    ]


def _optional(step: Step, ask: Callable[[], Answer]) -> Answer | None:
    """Return the answer of a reading call that the refund does not depend on."""
    try:
        return ask()
    except CallFailed as error:
        may_pass = isinstance(error, Retryable) and not isinstance(error, Unreadable)
        if may_pass and step.refund.attempt < ATTEMPTS:
            raise
        return None


def _paid(payments: Iterable[Payment]) -> Iterable[PaidPayment]:
    for payment in payments:
        if payment.effective_status not in NOTHING_PAID | {"AUTHORIZED"}:
            yield PaidPayment(
                payment_id=payment.id,
                amount=f"{payment.amount.amount:f}" if payment.amount else None,
                provider=payment.provider,
            )


def _sum(amounts: Iterable[Decimal | None]) -> Decimal:
    return sum((amount for amount in amounts if amount is not None), Decimal(0))


def _sum_of(parts: Iterable[RefundTransaction]) -> Decimal:
    return _sum(part.amount.amount for part in parts if part.amount)


def _facts(
    currency: str, paid: tuple[PaidPayment, ...], *, moved: Decimal, owed: Decimal | None = None
) -> Facts:
    return Facts(
        paid=paid,
        moved_by_wix=f"{rounded(moved, currency):f}",
        to_pay_back="" if owed is None else f"{rounded(owed, currency):f}",
    )


def nothing_paid(step: Step) -> Facts:
    """Return what a voided authorization leaves to be paid back: nothing was taken."""
    return _facts(step.facts.currency, (), moved=Decimal(0), owed=Decimal(0))
