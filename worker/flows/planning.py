"""Plan a refund: choose what to send for each payment, or say why nothing is sent.

The plan is data: what to send, or why not, and what to remember; the step carries it out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import TypeVar

from worker.errors import Buried, Permanent, Rejected
from worker.flows.amounts import Share, Source, price
from worker.flows.choosing import TooManySums, everything, most_of, spread
from worker.flows.manual_payments import ask_person
from worker.flows.payments import EMPTY, Blocked, SortedPayments, code_of
from worker.flows.step import Step
from worker.refund.facts import NO_FACTS, Facts, NotRefunded
from worker.refund.reasons import end_with

T = TypeVar("T")

#: Maximum number of payments in one refund call. W63.
MAX_PAYMENTS = 50


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What to do with the payments of an order: either what to send, or why to send nothing."""

    shares: tuple[Share, ...] = ()
    """What to refund of each payment."""
    refusal: Rejected | Buried | None = None
    """Why nothing is sent."""
    not_refunded: tuple[NotRefunded, ...] = ()
    """What Wix cannot refund of what was asked for."""
    facts: Facts = NO_FACTS
    """What to remember: the amounts that a person is asked to pay."""


def plan_refund(step: Step, payments: SortedPayments, total: Decimal | None) -> Plan:
    """Choose the amount for each payment: all that is left, or *total* divided among them.

    What Wix cannot refund does not hold back the rest; the plan names it.
    """
    if not payments.blocked:
        return _plan(step, payments, total)
    if total is None:
        missing = [(one, one.amount) for one in payments.blocked]
        return _plan(step, payments, None, _not_refunded(step, missing))
    possible = _possible(payments, total)
    missing, rest = [], total - possible
    for one in payments.blocked:
        part = rest if one.amount is None else min(rest, one.amount)
        if part:
            missing.append((one, part))
        rest -= part
    if rest:
        return Plan(refusal=_too_much(step, payments, total))
    return _plan(step, payments, possible, _not_refunded(step, missing))


def _possible(payments: SortedPayments, total: Decimal) -> Decimal:
    """Return how much of *total* can go back, by Wix or by a person."""
    rest = total - payments.counted
    if rest <= 0:
        return total
    manual = [_with_limit(one.source, rest) for one in payments.manual]
    return payments.counted + _searched(most_of, rest, [*payments.sources, *manual])


def _not_refunded(
    step: Step, missing: Iterable[tuple[Blocked, Decimal | None]]
) -> tuple[NotRefunded, ...]:
    currency = step.refund.facts.currency
    return tuple(
        NotRefunded(
            payment_id=one.payment_id,
            amount=None if amount is None else price(amount, currency)["amount"],
            reason=code_of(one.wix_reason),
            wix_code=one.wix_reason,
        )
        for one, amount in missing
    )


def _plan(
    step: Step,
    payments: SortedPayments,
    total: Decimal | None,
    not_refunded: tuple[NotRefunded, ...] = (),
) -> Plan:
    if total is None:
        ask = _ask_person(step, payments, None)
        chosen: list[Share] | None = everything([*payments.sources, *payments.paid])
    else:
        chosen = _spread_rest(total, payments)
        ask = _ask_person(step, payments, total) if chosen is None else None
    if ask:
        return ask
    if chosen is None:
        return Plan(refusal=_too_much(step, payments, total or Decimal(0)))
    if not chosen:
        return Plan(refusal=_nothing_left(step, payments))
    if len(chosen) > MAX_PAYMENTS:
        return Plan(refusal=end_with("too_many_payments", detail=f"{len(chosen)} payments"))
    return Plan(shares=tuple(chosen), not_refunded=not_refunded)


def _spread_rest(total: Decimal, payments: SortedPayments) -> list[Share] | None:
    """Spread the part of *total* that no person has paid yet."""
    rest = total - payments.counted
    others = _searched(spread, rest, payments.sources) if rest > 0 else []
    return None if others is None else others + everything(payments.paid)


def _searched(
    search: Callable[[Decimal, Sequence[Source]], T], total: Decimal, sources: Sequence[Source]
) -> T:
    try:
        return search(total, sources)
    except TooManySums:
        detail = "too many gift cards and memberships to find those that add up to the amount"
        raise end_with("too_many_payments", detail=detail) from None


def is_waiting(payments: SortedPayments, total: Decimal | None) -> bool:
    """Whether the refund must wait until the provider is up or another refund has ended."""
    if not payments.waiting:
        return False
    return total is None or _spread_rest(total, payments) is None


def _ask_person(step: Step, payments: SortedPayments, total: Decimal | None) -> Plan | None:
    """Ask a person to pay first what Wix cannot refund itself; None if nothing is needed."""
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
    shares = _searched(spread, rest, [*payments.sources, *sources]) or []
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
        detail = "nothing is left to refund; our earlier call may have refunded it"
        return end_with("outcome_unknown", detail=detail)
    if payments.counted:
        return end_with("after_manual_payment", detail="nothing is left to record")
    if payments.blocked:
        reason = payments.blocked[0].wix_reason
        return end_with(code_of(reason), _wix_reason(step, reason))
    if payments.empty:
        reason = next(reason for reason in EMPTY if reason in payments.empty)
        return end_with(EMPTY[reason], _wix_reason(step, reason))
    if payments.spent:
        return end_with(min(payments.spent), detail="Wix shows that nothing is left to refund")
    return end_with("no_payment_recorded")


def _too_much(step: Step, payments: SortedPayments, total: Decimal) -> Rejected | Buried:
    if not (payments.left or payments.sources or payments.manual or payments.blocked):
        return _nothing_left(step, payments)
    blocked = sum((one.amount for one in payments.blocked if one.amount), Decimal(0))
    code = "only_in_full" if payments.left + blocked >= total else "amount_exceeds_refundable"
    detail = f"{total:f} requested, {payments.left:f} left"
    return end_with(code, detail=f"{detail}, {blocked:f} not refundable" if blocked else detail)


def _wix_reason(step: Step, code: str) -> Permanent:
    """Wrap Wix's reason as the cause of an end; the answer that contained it had status 200."""
    return Permanent(
        "get_order_refundability", status=200, code=code, request_id=step.wix.request_id
    )
