"""Payments that only a person can pay back: what is asked of them, and what they say they paid.

What a person has paid is out, whatever Wix could move by itself later: it counts first, and is only
recorded. What Wix shows as gone of such a payment since we asked, the merchant recorded himself.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any, NamedTuple

from worker.flows.amounts import Source
from worker.flows.step import Step
from worker.wix.billing import PaymentRefundability


class Paid(NamedTuple):
    """What a person was asked to pay of one payment, in all, and says is paid."""

    amount: Decimal | None
    """None for all of what is no money (a membership)."""
    gone: Decimal
    """What Wix showed as gone of the payment when we first asked."""


class Manual(NamedTuple):
    """A payment of which a person must pay something (more)."""

    payment: PaymentRefundability
    source: Source
    """What can still be asked for."""
    done: Paid | None = None

    @property
    def why(self) -> str:
        """Wix's word."""
        manually = self.payment.manually_refundable
        return manually.reason if manually else "OFFLINE"


@dataclass(frozen=True)
class Split:
    """A payment by hand: what of it is to be recorded, what counts as paid, what is to be asked."""

    record: Source | None
    counted: Decimal
    ask: Manual | None


def paid_by_hand(step: Step) -> dict[str, Paid]:
    """What a person says is paid, payment by payment."""
    facts = step.refund.facts
    asked = facts.get("manual_asked", {}) if facts.get("manual_done") else {}
    said = {**facts.get("manual_paid", {}), **asked}
    return {payment_id: _read(told) for payment_id, told in said.items()}


def split(payment: PaymentRefundability, source: Source, done: Paid | None) -> Split:
    """Part one payment; of what nobody has paid, all is to be asked for."""
    if done is None:
        return Split(None, Decimal(0), Manual(payment, source))
    if done.amount is None:
        return Split(source, Decimal(0), None)
    recorded = min(done.amount, max(Decimal(0), payment.gone - done.gone))
    most = done.amount if source.most is None else source.most
    part = min(most, done.amount - recorded)
    more = replace(source, most=most - part)
    return Split(
        replace(source, most=part) if part else None,
        done.amount,
        Manual(payment, more, done) if more.most else None,
    )


def request(
    step: Step, manual: Iterable[Manual], to_pay: Mapping[str, Decimal | None]
) -> tuple[dict[str, Any], str]:
    """(facts to keep, the sentence for the person): only what is asked for here may be recorded."""
    currency = step.refund.facts.get("currency", "")
    asked, parts = {}, []
    for one in manual:
        payment_id = one.source.payment_id
        if payment_id not in to_pay:
            continue
        share = to_pay[payment_id]
        before = one.done.amount if one.done and one.done.amount else Decimal(0)
        gone = one.done.gone if one.done else one.payment.gone
        asked[payment_id] = _written(Paid(None if share is None else before + share, gone))
        amount = "all" if share is None else f"{share:f} {currency}"
        more = " more" if before else ""
        link = f", {one.payment.provider_link}" if one.payment.provider_link else ""
        parts.append(f"{amount}{more} of payment {payment_id} ({one.why}{link})")
    paid = {payment_id: _written(told) for payment_id, told in paid_by_hand(step).items()}
    facts = {"manual_asked": asked, "manual_paid": paid, "manual_done": False}
    command = f"refunds dead replay {step.refund.refund_id} --manual-done"
    return facts, f"pay {'; '.join(parts)}; then {command}"


def told(step: Step) -> str:
    """What was paid by hand, for a person."""
    currency = step.refund.facts.get("currency", "")
    return ", ".join(
        f"{'all' if paid.amount is None else f'{paid.amount:f} {currency}'} of payment {payment_id}"
        for payment_id, paid in paid_by_hand(step).items()
    )


def _written(paid: Paid) -> dict[str, str]:
    return {"amount": "" if paid.amount is None else f"{paid.amount:f}", "gone": f"{paid.gone:f}"}


def _read(told: Mapping[str, str]) -> Paid:
    return Paid(Decimal(told["amount"]) if told["amount"] else None, Decimal(told["gone"]))
