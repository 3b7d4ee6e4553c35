"""What of an order can be refunded, payment by payment.

W60; which of the words are final is inferred, W61.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from decimal import Decimal
from types import MappingProxyType

from worker.errors import Permanent
from worker.flows.amounts import Share, Source, everything, spread
from worker.flows.manual_payments import Manual, Paid, paid_by_hand, request, split
from worker.flows.step import Step
from worker.refund.reasons import end_with
from worker.wix.billing import PaymentRefundability, Refundability, Transactions

#: Payments that one call may refund. W63.
MOST_PAYMENTS = 50

#: Wix's word for "not now": our code when it stays so for all the time we wait.
WAITING: Mapping[str, str] = MappingProxyType(
    {"PROVIDER_IS_DOWN": "provider_down", "PENDING_REFUND": "refund_pending"}
)
#: Nothing is left on such a payment: the others are refunded.
EMPTY: Mapping[str, str] = MappingProxyType(
    {"ALREADY_REFUNDED": "already_refunded", "ZERO_PRICE": "zero_price", "NOT_PAID": "not_paid"}
)
#: Such a payment has money that does not go back.
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
    """Our code for a `nonRefundableReason`; one that we do not know needs a person."""
    return {**WAITING, **EMPTY, **BLOCKED}.get(wix_reason, "refusal_unknown")


@dataclass
class SortedPayments:
    """The payments of an order, sorted by what Wix can do about them."""

    sources: list[Source] = field(default_factory=list)
    """Can be refunded: by Wix itself, or recorded where the job allows it."""
    paid: list[Source] = field(default_factory=list)
    """A person has paid these: to be recorded."""
    counted: Decimal = Decimal(0)
    """All that a person has paid, recorded or not."""
    manual: list[Manual] = field(default_factory=list)
    """A person must pay these."""
    waiting: list[str] = field(default_factory=list)
    blocked: list[str] = field(default_factory=list)
    empty: list[str] = field(default_factory=list)
    """Wix's words of the others."""


def sort(step: Step, answer: Refundability, transactions: Transactions) -> SortedPayments:
    """Sort the payments of an order, in their order."""
    whole = {payment.id for payment in transactions.payments if payment.is_whole}
    may_record = step.refund.request.manual_payments == "record"
    paid, expected_external = paid_by_hand(step), step.refund.facts.get("manual_ids", [])
    found = SortedPayments()
    for payment in answer.payments:
        payment_id, most = payment.payment.payment_id, payment.max_refund
        done = paid.get(payment_id)
        if payment.non_refundable:
            _set_aside(found, payment.non_refundable.reason, done)
            continue
        is_manual = bool(payment.manually_refundable or done) or payment_id in expected_external
        is_whole = payment_id in whole or (most is None and not is_manual)
        source = Source(payment_id=payment_id, most=most, whole=is_whole, external=is_manual)
        if is_manual and not may_record:
            _by_hand(found, payment, source, done)
        elif most != 0:
            found.sources.append(source)
    return found


def _set_aside(found: SortedPayments, reason: str, done: Paid | None) -> None:
    """A payment that Wix refuses; what a person has paid of it counts all the same."""
    if done and done.amount:
        found.counted += done.amount
    if reason in WAITING:
        found.waiting.append(reason)
    elif not done:
        (found.empty if reason in EMPTY else found.blocked).append(reason)


def _by_hand(
    found: SortedPayments, payment: PaymentRefundability, source: Source, done: Paid | None
) -> None:
    if source.most == 0 and not done:
        return
    parted = split(payment, source, done)
    found.counted += parted.counted
    if parted.record and parted.record.most != 0:
        found.paid.append(parted.record)
    if parted.ask:
        found.manual.append(parted.ask)


def shares(step: Step, found: SortedPayments, total: Decimal | None) -> list[Share]:
    """What is refunded of each payment: all of it, or *total* spread over them.

    Raises:
        Rejected | Buried: it cannot be refunded so.
    """
    if total is None:
        _nothing_in_the_way(step, found, None)
        chosen: list[Share] | None = everything([*found.sources, *found.paid])
    else:
        chosen = _spread(total, found)
        if chosen is None:
            _nothing_in_the_way(step, found, total)
            raise _too_much(found, total)
    if not chosen:
        raise _nothing_left(step, found)
    if len(chosen) > MOST_PAYMENTS:
        raise end_with("too_many_payments", detail=f"{len(chosen)} payments")
    return chosen


def _spread(total: Decimal, found: SortedPayments) -> list[Share] | None:
    """What a person has paid is out: only the rest is spread."""
    rest = total - found.counted
    others = spread(rest, found.sources) if rest > 0 else []
    return None if others is None else others + everything(found.paid)


def is_waiting(found: SortedPayments, total: Decimal | None) -> bool:
    """Whether it may go once the provider is up or another refund has ended."""
    if not found.waiting:
        return False
    return total is None or _spread(total, found) is None


def _nothing_in_the_way(step: Step, found: SortedPayments, total: Decimal | None) -> None:
    if found.blocked:
        raise end_with(code_of(found.blocked[0]), _said(step, found.blocked[0]))
    to_pay = _to_pay(found, total)
    if to_pay:
        facts, sentence = request(step, found.manual, to_pay)
        step.notes.update(facts)
        raise end_with("manual_payment", _said(step, found.manual[0].why), detail=sentence)


def _to_pay(found: SortedPayments, total: Decimal | None) -> dict[str, Decimal | None]:
    """How much a person must pay of which payment; None for all of what is no money."""
    if total is None:
        return {manual.source.payment_id: manual.source.most for manual in found.manual}
    rest = total - found.counted
    # Of a payment of which Wix tells no limit, all of the rest may be asked.
    manual = [
        replace(m.source, most=rest) if m.source.most is None and not m.source.whole else m.source
        for m in found.manual
    ]
    ids = {source.payment_id for source in manual}
    chosen = spread(rest, [*found.sources, *manual]) or []
    shares = {share.source.payment_id: share for share in chosen}
    return {
        i: s.source.most if s.amount is None else s.amount for i, s in shares.items() if i in ids
    }


def _nothing_left(step: Step, found: SortedPayments) -> Exception:
    if step.may_have_happened and not step.is_vouched:
        return end_with("outcome_unknown", detail="nothing is left to refund; was it us?")
    if found.counted:
        return end_with("after_manual_payment", detail="nothing is left to record")
    if not found.empty:
        return end_with("not_refundable", detail="the order has no payment")
    word = next(word for word in EMPTY if word in found.empty)
    return end_with(EMPTY[word], _said(step, word))


def _too_much(found: SortedPayments, total: Decimal) -> Exception:
    parts = [*found.sources, *(manual.source for manual in found.manual)]
    left = sum((source.most for source in parts if source.most), found.counted)
    code = "only_in_full" if left >= total else "amount_exceeds_refundable"
    return end_with(code, detail=f"{total:f} asked, {left:f} left")


def _said(step: Step, code: str) -> Permanent:
    """Wix's word as the cause of an ending; it came with an answer of 200."""
    return Permanent(
        "get_order_refundability", status=200, code=code, request_id=step.wix.request_id
    )
