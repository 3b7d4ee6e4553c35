"""What of an order can be refunded, payment by payment, and what of it is asked of Wix.

Source: wix-api.md 2.13-2.15 [D]; which of the words are final is inferred [I].
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from decimal import Decimal
from types import MappingProxyType
from typing import Any, NamedTuple

from worker.amounts import Share, Source, everything, is_exact, spread
from worker.errors import Permanent
from worker.reasons import ending
from worker.step import Step
from worker.wix.billing import PaymentRefundability, Refundability, Transactions

#: Payments that one call may refund. Source: 2.15 [D].
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


class Manual(NamedTuple):
    """A payment that only a person can pay back."""

    payment: PaymentRefundability
    source: Source
    done: Decimal = Decimal(0)
    """So much of it a person has paid."""

    @property
    def why(self) -> str:
        """Wix's word."""
        manually = self.payment.manually_refundable
        return manually.reason if manually else "OFFLINE"


@dataclass
class Refundable:
    """The payments of an order, sorted by what Wix can do about them."""

    sources: list[Source] = field(default_factory=list)
    """Can be refunded: by Wix itself, or recorded where the job or a person allows it."""
    manual: list[Manual] = field(default_factory=list)
    """A person must pay these."""
    waiting: list[str] = field(default_factory=list)
    blocked: list[str] = field(default_factory=list)
    empty: list[str] = field(default_factory=list)
    """Wix's words of the others."""


def sort(step: Step, answer: Refundability, transactions: Transactions) -> Refundable:
    """Sort the payments of an order, in their order."""
    whole = {payment.id for payment in transactions.payments if payment.is_whole}
    may_record = step.refund.request.manual_payments == "record"
    paid, expected_external = paid_by_hand(step), step.refund.facts.get("manual_ids", [])
    found = Refundable()
    for payment in answer.payments:
        payment_id, most = payment.payment.payment_id, payment.max_refund
        if payment.non_refundable:
            reason = payment.non_refundable.reason
            place = found.waiting if reason in WAITING else found.blocked
            (found.empty if reason in EMPTY else place).append(reason)
            continue
        is_manual = bool(payment.manually_refundable) or payment_id in expected_external
        is_whole = payment_id in whole or most is None
        source = Source(payment_id=payment_id, most=most, whole=is_whole, external=is_manual)
        if most == 0:
            continue
        if is_manual and not may_record:
            _by_hand(found, payment, source, paid)
        else:
            found.sources.append(source)
    return found


def paid_by_hand(step: Step) -> dict[str, str]:
    """What a person was told to pay and says is paid: payment id to amount, "" for all of it."""
    facts = step.refund.facts
    asked = facts.get("manual_asked", {}) if facts.get("manual_done") else {}
    return {**facts.get("manual_paid", {}), **asked}


def _by_hand(
    found: Refundable, payment: PaymentRefundability, source: Source, paid: Mapping[str, str]
) -> None:
    """Only what a person has paid may be recorded; the rest of it, a person must pay."""
    done = paid.get(source.payment_id)
    if done is None:
        found.manual.append(Manual(payment, source))
    elif source.most is None or not done or source.whole:
        found.sources.append(source)
    else:
        part = min(source.most, Decimal(done))
        found.sources.append(replace(source, most=part))
        if part < source.most:
            found.manual.append(Manual(payment, source, done=part))


def shares(step: Step, found: Refundable, total: Decimal | None) -> list[Share]:
    """What is refunded of each payment: all of it, or *total* spread over them.

    Raises:
        Rejected | Buried: it cannot be refunded so.
    """
    if total is None:
        _nothing_in_the_way(step, found, None)
        chosen: list[Share] | None = everything(found.sources)
        if not chosen:
            raise _nothing_left(step, found)
    else:
        chosen = spread(total, found.sources)
        if chosen is None:
            _nothing_in_the_way(step, found, total)
            raise _too_much(found, total)
    if len(chosen) > MOST_PAYMENTS:
        raise ending("too_many_payments", detail=f"{len(chosen)} payments")
    return chosen


def is_waiting(found: Refundable, total: Decimal | None) -> bool:
    """Whether it may go once the provider is up or another refund has ended."""
    if not found.waiting:
        return False
    return total is None or spread(total, found.sources) is None


def _nothing_in_the_way(step: Step, found: Refundable, total: Decimal | None) -> None:
    if found.blocked:
        raise ending(code_of(found.blocked[0]), _said(step, found.blocked[0]))
    to_pay = _to_pay(found, total)
    if to_pay:
        # Only what is asked for here may be recorded when a person says that it is done.
        asked_for = {i: "" if amount is None else f"{amount:f}" for i, amount in to_pay.items()}
        paid = paid_by_hand(step)
        step.notes.update(manual_asked=asked_for, manual_paid=paid, manual_done=False)
        detail = _request(step, found, asked_for)
        raise ending("manual_payment", _said(step, found.manual[0].why), detail=detail)


def _to_pay(found: Refundable, total: Decimal | None) -> dict[str, Decimal | None]:
    """Which payments a person must pay, and in all how much of each; None for all of it."""
    by_id = {manual.source.payment_id: manual.source for manual in found.manual}
    if total is None:
        return {i: None if source.whole else source.most for i, source in by_id.items()}
    sources = [s for s in found.sources if s.payment_id not in by_id]
    chosen = spread(total, [*sources, *by_id.values()]) or []
    return {s.source.payment_id: s.amount for s in chosen if s.source.payment_id in by_id}


def _request(step: Step, found: Refundable, asked_for: Mapping[str, str]) -> str:
    """What a person must pay, and the command that goes on."""
    currency = step.refund.facts.get("currency", "")
    parts = []
    for manual in found.manual:
        if (amount := asked_for.get(manual.source.payment_id)) is None:
            continue
        owed = Decimal(amount) - manual.done if amount else manual.source.most
        rest = "all" if owed is None else f"{owed:f} {currency}"
        more = " more" if manual.done else ""
        link = f", {manual.payment.provider_link}" if manual.payment.provider_link else ""
        parts.append(f"{rest}{more} of payment {manual.source.payment_id} ({manual.why}{link})")
    command = f"refunds dead replay {step.refund.refund_id} --manual-done"
    return f"pay {'; '.join(parts)}; then {command}"


def _nothing_left(step: Step, found: Refundable) -> Exception:
    if step.may_have_happened:
        return ending("outcome_unknown", detail="nothing is left to refund; was it us?")
    if not found.empty:
        return ending("not_refundable", detail="the order has no payment")
    word = next(word for word in EMPTY if word in found.empty)
    return ending(EMPTY[word], _said(step, word))


def _too_much(found: Refundable, total: Decimal) -> Exception:
    left = sum((source.most for source in found.sources if source.most), Decimal(0))
    code = "only_in_full" if left >= total else "amount_exceeds_refundable"
    return ending(code, detail=f"{total:f} asked, {left:f} left")


def _said(step: Step, code: str) -> Permanent:
    """Wix's word as the cause of an ending; it came with an answer of 200."""
    return Permanent(
        "get_order_refundability", status=200, code=code, request_id=step.wix.request_id
    )


def total_of(step: Step) -> Decimal | None:
    """How much is asked for, None for everything; what parts come to is Wix's word.

    Raises:
        Rejected: Wix cannot refund these parts, or they come to something else.
    """
    request = step.refund.request
    total = Decimal(request.amount) if request.amount else None
    if not request.has_items:
        return total
    try:
        answer = step.wix.calculate_refund(step.order_id, items_of(step))
    except Permanent as error:
        raise ending("lines_not_refundable", error) from None
    if answer.summary is None or not answer.available:
        codes = answer.not_available.codes if answer.not_available else ""
        raise ending("lines_not_refundable", detail=codes)
    calculated, currency = answer.summary.total.amount, step.refund.facts["currency"]
    if total not in (None, calculated):
        raise ending("amount_mismatch", detail=f"Wix calculates {calculated:f} {currency}")
    if not calculated:
        raise ending("zero_price")
    if not is_exact(calculated, currency):
        raise ending("amount_precision", detail=f"Wix calculates {calculated:f} {currency}")
    return calculated


def items_of(step: Step) -> dict[str, Any]:
    """The parts that the job names, in Wix's spelling."""
    request = step.refund.request
    items: dict[str, Any] = {}
    if request.lines:
        items["lineItems"] = _lines(step)
    if request.additional_fees:
        items["additionalFees"] = [
            {"additionalFeeId": fee.additional_fee_id}
            | ({"amount": {"amount": fee.amount}} if fee.amount else {})
            for fee in request.additional_fees
        ]
    if request.shipping:
        items["shipping"] = {"amount": {"amount": request.shipping}}
    return items


def _lines(step: Step) -> list[dict[str, Any]]:
    return [
        {"lineItemId": line.line_item_id, "quantity": line.quantity}
        for line in step.refund.request.lines
    ]


def asked(step: Step, chosen: Iterable[Share], answer: Refundability) -> dict[str, Any]:
    """The body of refund-payments. Source: 2.15 [D]."""
    request = step.refund.request
    effects: dict[str, Any] = {"notifications": {"sendCustomerEmail": request.notify_buyer}}
    if request.restock:
        effects["restock"] = {"lineItems": _lines(step) or _all_lines(answer)}
    body = {
        "paymentRefunds": [share.wire() for share in chosen],
        "sideEffects": effects,
        "customerReason": step.refund.customer_reason,
    }
    return body | ({"refundItems": items_of(step)} if request.has_items else {})


def _all_lines(answer: Refundability) -> list[dict[str, Any]]:
    return [
        {"lineItemId": line.line_item_id, "quantity": line.available_refund_quantity}
        for line in answer.line_items
        if line.available_refund_quantity
    ]
