"""Plan a refund: sort the order's payments by what Wix can do with them, and choose the amounts.

The plan is data: what to send, or why not, and what to remember; the step carries it out.
Refundability is W60; which of its reasons are final is inferred (W61).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from decimal import Decimal
from types import MappingProxyType

from worker.errors import Buried, Permanent, Rejected
from worker.flows.amounts import Share, Source, everything, spread
from worker.flows.manual_payments import (
    ManualPayment,
    PaidManually,
    ask_person,
    paid_manually,
    split_manual,
)
from worker.flows.step import Step
from worker.refund.facts import NO_FACTS, Facts
from worker.refund.reasons import end_with
from worker.wix.billing import PaymentRefundability, Refundability, Transactions

#: Maximum number of payments in one refund call. W63.
MAX_PAYMENTS = 50

#: Wix's reasons that pass by themselves, and our code for each that outlasts our waiting.
WAITING: Mapping[str, str] = MappingProxyType(
    {"PROVIDER_IS_DOWN": "provider_down", "PENDING_REFUND": "refund_pending"}
)
#: Reasons why nothing of a payment can be refunded; the other payments still are.
EMPTY: Mapping[str, str] = MappingProxyType(
    {"ALREADY_REFUNDED": "already_refunded", "ZERO_PRICE": "zero_price", "NOT_PAID": "not_paid"}
)
#: Reasons why a payment cannot be refunded although money is left; the refund ends.
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
    """Wix's reasons for the others: a reason of `WAITING`, ..."""
    blocked: list[str] = field(default_factory=list)
    """... of `BLOCKED`, or one that we do not know, ..."""
    empty: list[str] = field(default_factory=list)
    """... or of `EMPTY`."""


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What to do with the payments of an order: either what to send, or why to send nothing."""

    shares: tuple[Share, ...] = ()
    """What to refund of each payment."""
    refusal: Rejected | Buried | None = None
    """Why nothing is sent."""
    facts: Facts = NO_FACTS
    """What to remember: the amounts that a person is asked to pay."""


def sort_payments(step: Step, answer: Refundability, transactions: Transactions) -> SortedPayments:
    """Sort the payments of an order; each group keeps their order."""
    only_in_full = {payment.id for payment in transactions.payments if payment.only_in_full}
    may_record = step.refund.request.manual_payments == "record"
    paid, expected_manual = paid_manually(step.facts), step.facts.manual_ids
    result = SortedPayments()
    for payment in answer.payments:
        payment_id, max_refund = payment.payment.payment_id, payment.max_refund
        done = paid.get(payment_id)
        if payment.non_refundable:
            _set_aside(result, payment.non_refundable.reason, done)
            continue
        is_manual = bool(payment.manually_refundable or done) or payment_id in expected_manual
        source = Source(
            payment_id=payment_id,
            max_refund=max_refund,
            only_in_full=payment_id in only_in_full or (max_refund is None and not is_manual),
            external=is_manual,
        )
        if is_manual and not may_record:
            _add_manual(result, payment, source, done)
        elif max_refund != 0:
            result.sources.append(source)
    return result


def _set_aside(result: SortedPayments, reason: str, done: PaidManually | None) -> None:
    """Sort a payment that Wix does not refund; what a person has paid of it still counts."""
    if done and done.amount:
        result.counted += done.amount
    if reason in WAITING:
        result.waiting.append(reason)
    elif not done:
        (result.empty if reason in EMPTY else result.blocked).append(reason)


def _add_manual(
    result: SortedPayments,
    payment: PaymentRefundability,
    source: Source,
    done: PaidManually | None,
) -> None:
    if source.max_refund == 0 and not done:
        return
    parts = split_manual(payment, source, done)
    result.counted += parts.counted
    if parts.record and parts.record.max_refund != 0:
        result.paid.append(parts.record)
    if parts.ask:
        result.manual.append(parts.ask)


def plan_refund(step: Step, payments: SortedPayments, total: Decimal | None) -> Plan:
    """Choose the amount for each payment: all that is left, or *total* spread over them."""
    if total is None:
        obstacle = _obstacle(step, payments, None)
        chosen: list[Share] | None = everything([*payments.sources, *payments.paid])
    else:
        chosen = _spread_rest(total, payments)
        obstacle = _obstacle(step, payments, total) if chosen is None else None
    if obstacle:
        return obstacle
    if chosen is None:
        return Plan(refusal=_too_much(payments, total or Decimal(0)))
    if not chosen:
        return Plan(refusal=_nothing_left(step, payments))
    if len(chosen) > MAX_PAYMENTS:
        return Plan(refusal=end_with("too_many_payments", detail=f"{len(chosen)} payments"))
    return Plan(shares=tuple(chosen))


def _spread_rest(total: Decimal, payments: SortedPayments) -> list[Share] | None:
    """Spread the part of *total* that no person has paid yet."""
    rest = total - payments.counted
    others = spread(rest, payments.sources) if rest > 0 else []
    return None if others is None else others + everything(payments.paid)


def is_waiting(payments: SortedPayments, total: Decimal | None) -> bool:
    """Whether the refund must wait until the provider is up or another refund has ended."""
    if not payments.waiting:
        return False
    return total is None or _spread_rest(total, payments) is None


def _obstacle(step: Step, payments: SortedPayments, total: Decimal | None) -> Plan | None:
    """Return why nothing can be sent: a payment is blocked, or a person must pay first."""
    if payments.blocked:
        reason = payments.blocked[0]
        return Plan(refusal=end_with(code_of(reason), _wix_reason(step, reason)))
    to_pay = _to_pay(payments, total)
    if not to_pay:
        return None
    facts, sentence = ask_person(step.refund, payments.manual, to_pay)
    cause = _wix_reason(step, payments.manual[0].why)
    return Plan(refusal=end_with("manual_payment", cause, detail=sentence), facts=facts)


def _to_pay(payments: SortedPayments, total: Decimal | None) -> dict[str, Decimal | None]:
    """Return what a person must pay, by payment id; None for a membership, which has no amount."""
    if total is None:
        return {manual.source.payment_id: manual.source.max_refund for manual in payments.manual}
    rest = total - payments.counted
    sources = [_with_limit(manual.source, rest) for manual in payments.manual]
    ids = {source.payment_id for source in sources}
    shares = spread(rest, [*payments.sources, *sources]) or []
    return {
        share.source.payment_id: share.source.max_refund if share.amount is None else share.amount
        for share in shares
        if share.source.payment_id in ids
    }


def _with_limit(source: Source, rest: Decimal) -> Source:
    """Limit a payment for which Wix names no maximum to *rest*, all that is still missing."""
    if source.max_refund is None and not source.only_in_full:
        return replace(source, max_refund=rest)
    return source


def _nothing_left(step: Step, payments: SortedPayments) -> Rejected | Buried:
    if step.effect_in_doubt:
        detail = "nothing is left to refund; an earlier call of ours may have refunded it"
        return end_with("outcome_unknown", detail=detail)
    if payments.counted:
        return end_with("after_manual_payment", detail="nothing is left to record")
    if not payments.empty:
        return end_with("not_refundable", detail="the order has no payment")
    reason = next(reason for reason in EMPTY if reason in payments.empty)
    return end_with(EMPTY[reason], _wix_reason(step, reason))


def _too_much(payments: SortedPayments, total: Decimal) -> Rejected | Buried:
    parts = [*payments.sources, *(manual.source for manual in payments.manual)]
    left = sum((source.max_refund for source in parts if source.max_refund), payments.counted)
    code = "only_in_full" if left >= total else "amount_exceeds_refundable"
    return end_with(code, detail=f"{total:f} requested, {left:f} left")


def _wix_reason(step: Step, code: str) -> Permanent:
    """Wrap Wix's reason as the cause of an end; the answer that contained it had status 200."""
    return Permanent(
        "get_order_refundability", status=200, code=code, request_id=step.wix.request_id
    )
