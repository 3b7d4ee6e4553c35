"""Sort the order's payments by what Wix can do with them.

Refundability is W60; which of its reasons are final is inferred (W61).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from types import MappingProxyType
from typing import NamedTuple

from worker.flows.amounts import Source, cut
from worker.flows.manual_payments import (
    ManualPayment,
    PaidManually,
    paid_manually,
    split_manual,
)
from worker.flows.step import Step
from worker.wix.billing import NOTHING_PAID, Transactions
from worker.wix.models import needed
from worker.wix.refundability import PaymentRefundability, Refundability

#: Wix's reasons that pass by themselves, and our code for each that outlasts our waiting.
WAITING: Mapping[str, str] = MappingProxyType(
    {"PROVIDER_IS_DOWN": "provider_down", "PENDING_REFUND": "refund_pending"}
)
#: Reasons why nothing of a payment can be refunded; the other payments still are.
EMPTY: Mapping[str, str] = MappingProxyType(
    {"ALREADY_REFUNDED": "already_refunded", "ZERO_PRICE": "zero_price", "NOT_PAID": "not_paid"}
)
#: Reasons why a payment cannot be refunded although money is left; the other payments still are.
BLOCKED: Mapping[str, str] = MappingProxyType(
    {
        "DISABLED_BY_PROVIDER": "refund_disabled",
        "FORBIDDEN": "refund_forbidden",
        "TRANSACTION_NOT_FOUND": "payment_not_found",
        "ORDER_IS_PENDING": "order_pending",
        "ORDER_IS_REJECTED": "order_rejected",
        "AMOUNT_OFFSET_BY_CHARGEBACK": "offset_by_chargeback",
    }
)


def code_of(wix_reason: str) -> str:
    """Return our code for Wix's `nonRefundableReason`; an unknown one needs a person."""
    return {**WAITING, **EMPTY, **BLOCKED}.get(wix_reason, "refusal_unknown")


def left_out(answer: Refundability, transactions: Transactions) -> set[str]:
    """Return the ids of paid payments that Wix does not list as refundable or not.

    That it leaves one out does not mean that there is nothing to refund.
    """
    listed = {payment.payment.payment_id for payment in answer.payments}
    nothing_left = NOTHING_PAID | {"AUTHORIZED", "REFUNDED"}
    paid = {p.id for p in transactions.payments if p.effective_status not in nothing_left}
    return paid - listed


class Blocked(NamedTuple):
    """A payment that Wix cannot refund, although money is left."""

    payment_id: str
    amount: Decimal | None
    """What is left of it; None if Wix does not say."""
    wix_reason: str
    """A reason of `BLOCKED`, or one that we do not know."""


@dataclass
class SortedPayments:
    """The payments of an order, sorted by what Wix can do with them."""

    sources: list[Source] = field(default_factory=list)
    """Wix can refund these itself, or record them if the job allows that."""
    paid: list[Source] = field(default_factory=list)
    """A person has paid these back; Wix must record them."""
    counted: Decimal = Decimal(0)
    """The sum that a person has paid back, whether Wix has recorded it or not."""
    manual: list[ManualPayment] = field(default_factory=list)
    """A person must pay these back."""
    waiting: list[str] = field(default_factory=list)
    """Wix's reasons for payments that it cannot refund yet, of `WAITING`."""
    blocked: list[Blocked] = field(default_factory=list)
    """Nobody can refund these."""
    empty: list[str] = field(default_factory=list)
    """Wix's reasons for payments of which nothing is left, of `EMPTY`."""
    spent: list[str] = field(default_factory=list)
    """Our reasons for payments that Wix calls refundable, although nothing is left of them."""

    @property
    def left(self) -> Decimal:
        """What can still be refunded, by Wix or by a person, with what a person has paid."""
        parts = [*self.sources, *(manual.source for manual in self.manual)]
        return sum((part.max_refund for part in parts if part.max_refund), self.counted)

    @property
    def is_incomplete(self) -> bool:
        """Whether `left` does not say all: some payments cannot be refunded, or have no amount."""
        parts = [*self.sources, *(manual.source for manual in self.manual)]
        unknown = any(part.max_refund is None for part in parts)
        return bool(self.waiting or self.blocked or unknown)


def sort_payments(step: Step, answer: Refundability, transactions: Transactions) -> SortedPayments:
    """Sort the payments of an order; each group keeps their order.

    Raises:
        Unreadable: Wix does not say how much of a payment can be refunded.
    """
    only_in_full = {payment.id for payment in transactions.payments if payment.only_in_full}
    may_record = step.refund.request.manual_payments == "record"
    paid, expected_manual = paid_manually(step.facts), step.facts.manual_ids
    result = SortedPayments()
    for payment in answer.payments:
        payment_id, max_refund = payment.payment.payment_id, payment.max_refund
        if max_refund is not None:
            max_refund = cut(max_refund, step.refund.facts.currency)
        done = paid.get(payment_id)
        refused = step.facts.refused_payments.get(payment_id)
        if reason := payment.non_refundable.reason if payment.non_refundable else refused:
            _set_aside(result, payment, reason, done)
            continue
        if payment_id not in only_in_full:
            needed(max_refund, "get_order_refundability", "payments.payment.monetary.maxRefund")
        is_manual = bool(payment.manually_refundable or done) or payment_id in expected_manual
        source = Source(
            payment_id=payment_id,
            max_refund=max_refund,
            only_in_full=payment_id in only_in_full,
            external=is_manual,
        )
        if is_manual and not may_record:
            _add_manual(result, payment, source, done)
        elif max_refund != 0:
            result.sources.append(source)
        else:
            result.spent.append(_why_spent(payment))
    return result


def _set_aside(
    result: SortedPayments, payment: PaymentRefundability, reason: str, done: PaidManually | None
) -> None:
    """Sort a payment that Wix does not refund; what a person has paid of it still counts."""
    if done and done.amount:
        result.counted += done.amount
    if reason in WAITING:
        result.waiting.append(reason)
    elif reason in EMPTY and not done:
        result.empty.append(reason)
    elif not done and _unreturned(payment) == 0:
        result.spent.append(_why_spent(payment))
    elif not done:
        result.blocked.append(Blocked(payment.payment.payment_id, _unreturned(payment), reason))


def _unreturned(payment: PaymentRefundability) -> Decimal | None:
    """Return what was paid and not returned; None if Wix does not say."""
    monetary = payment.payment.monetary
    if not (monetary and monetary.paid and monetary.refunded and monetary.refund_pending):
        return None
    returned = monetary.refunded.amount + monetary.refund_pending.amount
    return max(Decimal(0), monetary.paid.amount - returned)


def _why_spent(payment: PaymentRefundability) -> str:
    return "already_refunded" if payment.already_returned else "zero_price"


def _add_manual(
    result: SortedPayments,
    payment: PaymentRefundability,
    source: Source,
    done: PaidManually | None,
) -> None:
    if source.max_refund == 0 and not done:
        result.spent.append(_why_spent(payment))
        return
    parts = split_manual(payment, source, done)
    result.counted += parts.counted
    if parts.record and parts.record.max_refund != 0:
        result.paid.append(parts.record)
    if parts.ask:
        result.manual.append(parts.ask)
