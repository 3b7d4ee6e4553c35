"""Payments that only a person can pay back: what we ask for, and what they confirm as paid.

What a person has paid counts first, whatever Wix could refund itself later; Wix only records it.
If Wix shows that more of such a payment was returned since we asked, the merchant recorded it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import NamedTuple

from worker.flows.amounts import Source
from worker.refund.facts import Facts, ManualAmount
from worker.refund.record import Refund
from worker.wix.refundability import PaymentRefundability


class PaidManually(NamedTuple):
    """The total that a person was asked to pay back for one payment, and confirmed as paid."""

    amount: Decimal | None
    """None for a whole membership, which has no amount."""
    already_returned: Decimal
    """What Wix showed as already returned when we first asked."""


class ManualPayment(NamedTuple):
    """A payment of which a person must pay back something, or more than before."""

    payment: PaymentRefundability
    source: Source
    """What can still be asked for."""
    done: PaidManually | None = None
    """What a person has paid back so far."""

    @property
    def why(self) -> str:
        """Why Wix cannot refund it itself, in Wix's words."""
        manually = self.payment.manually_refundable
        return (manually.reason if manually else "OFFLINE") or "UNKNOWN_REASON"


@dataclass(frozen=True)
class ManualSplit:
    """A manual payment, split by what remains to be done."""

    record: Source | None
    """What Wix must record."""
    counted: Decimal
    """What a person has paid back, whether Wix has recorded it or not."""
    ask: ManualPayment | None
    """What a person must still pay back."""


def paid_manually(facts: Facts) -> dict[str, PaidManually]:
    """Return what a person confirmed as paid, by payment id."""
    asked = facts.manual_asked if facts.manual_done else {}
    return {i: _from_facts(amount) for i, amount in {**facts.manual_paid, **asked}.items()}


def split_manual(
    payment: PaymentRefundability, source: Source, done: PaidManually | None
) -> ManualSplit:
    """Split one payment; *done* is what a person has paid back of it."""
    if done is None:
        return ManualSplit(None, Decimal(0), ManualPayment(payment, source))
    if done.amount is None:
        return ManualSplit(source, Decimal(0), None)
    recorded = min(done.amount, max(Decimal(0), payment.already_returned - done.already_returned))
    max_refund = done.amount if source.max_refund is None else source.max_refund
    part = min(max_refund, done.amount - recorded)
    more = replace(source, max_refund=max_refund - part)
    return ManualSplit(
        replace(source, max_refund=part) if part else None,
        done.amount,
        ManualPayment(payment, more, done) if more.max_refund else None,
    )


def ask_person(
    refund: Refund, manual: Iterable[ManualPayment], to_pay: Mapping[str, Decimal | None]
) -> tuple[Facts, str]:
    """Ask a person to pay these amounts, by payment id: return (facts, the text for the person).

    The facts keep what was asked, because nothing else may be recorded later.
    """
    asked: dict[str, ManualAmount] = {}
    parts: list[str] = []
    for one in manual:
        payment_id = one.source.payment_id
        if payment_id in to_pay:
            share = to_pay[payment_id]
            asked[payment_id] = _to_facts(_in_all(one, share))
            parts.append(_sentence(one, share, refund.facts.currency))
    paid = {i: _to_facts(amount) for i, amount in paid_manually(refund.facts).items()}
    facts = Facts(manual_asked=asked, manual_paid=paid, manual_done=False)
    command = f"refunds dead replay {refund.refund_id} --manual-done"
    return facts, f"pay {'; '.join(parts)}; then {command}"


def _in_all(one: ManualPayment, share: Decimal | None) -> PaidManually:
    """Add what is asked for now to what was paid before."""
    first_seen = one.done.already_returned if one.done else one.payment.already_returned
    return PaidManually(None if share is None else _before(one) + share, first_seen)


def _before(one: ManualPayment) -> Decimal:
    return one.done.amount if one.done and one.done.amount else Decimal(0)


def _sentence(one: ManualPayment, share: Decimal | None, currency: str) -> str:
    amount = "all" if share is None else f"{share:f} {currency}"
    more = " more" if _before(one) else ""
    link = f", {one.payment.provider_link}" if one.payment.provider_link else ""
    return f"{amount}{more} of payment {one.source.payment_id} ({one.why}{link})"


def paid_manually_text(facts: Facts) -> str:
    """Describe what was paid manually; "" if nothing was."""
    return ", ".join(
        f"{'all' if paid.amount is None else f'{paid.amount:f} {facts.currency}'}"
        f" of payment {payment_id}"
        for payment_id, paid in paid_manually(facts).items()
    )


def _to_facts(paid: PaidManually) -> ManualAmount:
    amount = "" if paid.amount is None else f"{paid.amount:f}"
    return ManualAmount(amount=amount, already_returned=f"{paid.already_returned:f}")


def _from_facts(stored: ManualAmount) -> PaidManually:
    return PaidManually(
        Decimal(stored.amount) if stored.amount else None, Decimal(stored.already_returned)
    )
