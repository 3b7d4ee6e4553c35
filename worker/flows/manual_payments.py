"""Payments that only a person can pay back: what is asked of them, and what they say they paid.

What a person has paid is gone, whatever Wix could refund by itself later: it counts first, and is
only recorded. What Wix shows as returned of such a payment since we asked, the merchant recorded.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import NamedTuple

from worker.flows.amounts import Source
from worker.refund.facts import Facts, ManualAmount
from worker.refund.record import Refund
from worker.wix.billing import PaymentRefundability


class PaidManually(NamedTuple):
    """What a person was asked to pay of one payment, in all, and says is paid."""

    amount: Decimal | None
    """None for all of what is not money (a membership)."""
    already_returned: Decimal
    """What Wix showed as already returned of the payment when we first asked."""


class ManualPayment(NamedTuple):
    """A payment of which a person must pay something (more)."""

    payment: PaymentRefundability
    source: Source
    """What can still be asked for."""
    done: PaidManually | None = None

    @property
    def why(self) -> str:
        """Wix's reason."""
        manually = self.payment.manually_refundable
        return manually.reason if manually else "OFFLINE"


@dataclass(frozen=True)
class ManualSplit:
    """A manual payment: what of it is to be recorded, what counts as paid, what is to be asked."""

    record: Source | None
    counted: Decimal
    ask: ManualPayment | None


def paid_manually(facts: Facts) -> dict[str, PaidManually]:
    """Return what a person says is paid, by payment id."""
    asked = facts.manual_asked if facts.manual_done else {}
    return {i: _from_facts(amount) for i, amount in {**facts.manual_paid, **asked}.items()}


def split_manual(
    payment: PaymentRefundability, source: Source, done: PaidManually | None
) -> ManualSplit:
    """Split one payment; what nobody has paid is to be asked for."""
    if done is None:
        return ManualSplit(None, Decimal(0), ManualPayment(payment, source))
    if done.amount is None:
        return ManualSplit(source, Decimal(0), None)
    recorded = min(done.amount, max(Decimal(0), payment.already_returned - done.already_returned))
    most = done.amount if source.most is None else source.most
    part = min(most, done.amount - recorded)
    more = replace(source, most=most - part)
    return ManualSplit(
        replace(source, most=part) if part else None,
        done.amount,
        ManualPayment(payment, more, done) if more.most else None,
    )


def ask_person(
    refund: Refund, manual: Iterable[ManualPayment], to_pay: Mapping[str, Decimal | None]
) -> tuple[Facts, str]:
    """Return (facts, the sentence for the person): only what is asked for may be recorded later."""
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
    """What was paid before, and what is asked for now."""
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
    """Say what was paid manually, "" when nothing was."""
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
