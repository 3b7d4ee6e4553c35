"""Recognise our own refunds among those of an order, even if Wix has changed our fingerprint.

Our fingerprint is in `customerReason`, written as "(ref FINGERPRINT)". Whether Wix returns it
unchanged is unknown (W52, W64), so case, blanks and punctuation are ignored, and a truncated
fingerprint still counts.
"""

from __future__ import annotations

import re
from decimal import Decimal

from worker.flows.step import Step
from worker.refund.facts import Facts, Overpayment, RefundedPayment
from worker.refund.record import Refund, fingerprint_of
from worker.wix.billing import Transactions, WixRefund

#: What precedes the fingerprint, see `Refund.customer_reason`.
PREFIX = "ref"
#: Number of hexadecimal digits that identify a truncated fingerprint.
ENOUGH = 12
#: How far the clocks of Wix and of our Redis server may be apart.
CLOCKS_MS = 300_000

#: How many refunds of an order a sentence names.
MOST_NAMED = 10

_ANY_MARK = re.compile(rf"{PREFIX}([0-9a-f]{{20}})")


def _plain(text: str) -> str:
    """Leave out case, blanks and punctuation."""
    return re.sub(r"[\W_]+", "", text).lower()


def carries_mark(refund: Refund, reason: str) -> bool:
    """Whether a reason at Wix has the fingerprint of this refund."""
    return _carries(refund.fingerprint, reason)


def _carries(fingerprint: str, reason: str) -> bool:
    plain = _plain(reason)
    if fingerprint in plain:
        return True
    start = plain.find(PREFIX + fingerprint[:ENOUGH])
    return start >= 0 and fingerprint.startswith(plain[start + len(PREFIX) :])


def carries_any_mark(reason: str) -> bool:
    """Whether a reason at Wix has the complete fingerprint of any refund of a worker like this."""
    return bool(_ANY_MARK.search(_plain(reason)))


def _carries_another_mark(refund: Refund, reason: str) -> bool:
    """Whether it has the complete fingerprint of another of our refunds."""
    return any(mark != refund.fingerprint for mark in _ANY_MARK.findall(_plain(reason)))


def find_ours(refund: Refund, transactions: Transactions) -> WixRefund | None:
    """Return the first refund that we made, None if there is none."""
    return next(iter(all_ours(refund, transactions)), None)


def all_ours(refund: Refund, transactions: Transactions) -> list[WixRefund]:
    """Return our own refunds: those with the id from Wix's answer, or with our fingerprint."""
    known_id = refund.facts.wix_refund_id
    return [
        one
        for one in transactions.refunds
        if one.id == known_id or carries_mark(refund, one.reason)
    ]


def returned_by(step: Step, transactions: Transactions) -> str:
    """Say which refunds of the order there are: ours by their ids, the others by Wix's."""
    request = step.refund.request
    marks = {
        refund_id: fingerprint_of(request.store_id, request.order_id, refund_id)
        for refund_id in step.refunds_of_order()
    }
    parts = []
    for one in transactions.refunds:
        ours = [refund_id for refund_id, mark in marks.items() if _carries(mark, one.reason)]
        by = "not by this worker"
        if ours or carries_any_mark(one.reason):
            by = f"by our refund {ours[0]}" if ours else "by another refund of this worker"
        if set(one.statuses) != {"FAILED"}:
            parts.append(f"{one.total:f} {step.refund.facts.currency} {by} (Wix's id {one.id})")
    return "; ".join(parts[:MOST_NAMED]) + (" ..." if len(parts) > MOST_NAMED else "")


def may_be_ours(step: Step, refund: WixRefund) -> bool:
    """Whether a refund without our fingerprint may be the effect of our earlier call.

    Wix may have dropped or masked the fingerprint. So every new refund of the order that fits our
    request may be ours, unless it has the fingerprint of another refund.
    """
    if refund.id in step.refund.facts.refunds_before:
        return False
    if _carries_another_mark(step.refund, refund.reason) or not _fits(step.refund, refund):
        return False
    # Not if it is older than our job, or than a person's confirmation that it is not ours.
    confirmed_ms = step.refund.replayed_at_ms if step.refund.facts.asked_a_person else 0
    since_ms = max(step.refund.accepted_at_ms - CLOCKS_MS, confirmed_ms)
    created = refund.created_date
    return created is None or created.timestamp() * 1000 >= since_ms


def _fits(ours: Refund, refund: WixRefund) -> bool:
    """Whether our call may have asked for this sum; only that of a plain amount is known here."""
    request = ours.request
    if not request.amount or request.has_items:
        return True
    if ours.facts.manual_asked or ours.facts.manual_paid:
        return refund.total <= Decimal(request.amount)
    return refund.total == Decimal(request.amount)


def overpayment(refund: Refund, transactions: Transactions) -> Overpayment | None:
    """Return what was refunded too much with our fingerprint, None if it is nothing."""
    moved = [one for one in all_ours(refund, transactions) if set(one.statuses) != {"FAILED"}]
    if len(moved) < 2:
        return None
    first, *others = moved
    too_much = sum((one.total for one in others), Decimal(0))
    ids = tuple(one.id for one in (first, *others))
    return Overpayment(wix_refund_ids=ids, amount=f"{too_much:f}") if too_much else None


def overpayment_text(refund: Refund, found: Overpayment) -> str:
    """Say what to recover, and by which of Wix's refunds it was paid."""
    amount = f"{found.amount} {refund.facts.currency}".strip()
    return f"Wix shows the refunds {', '.join(found.wix_refund_ids)}; {amount} is to be recovered"


def facts_of(refund: WixRefund) -> Facts:
    """Return what the record keeps: Wix's id, the sum, and the status of each payment's part."""
    parts = tuple(
        RefundedPayment(
            payment_id=part.payment_id,
            amount=f"{part.amount.amount:f}" if part.amount else None,
            status=part.refund_status,
            external=bool(part.external_refund),
        )
        for part in refund.transactions
    )
    recorded = all(part.external for part in parts)
    return Facts(
        wix_refund_id=refund.id,
        refund_amount=f"{refund.total:f}",
        payments=parts,
        effect="refund_recorded" if recorded else "payments_refunded",
    )
