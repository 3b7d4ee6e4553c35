"""Money that Wix counts as returned without listing its refund (whether that happens: W52).

After our call had an unknown effect, it may be ours. What was unlisted before that call is
not.
"""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal

from worker.flows.step import Step
from worker.wix.billing import Transactions, WixRefund
from worker.wix.refundability import Refundability


def unlisted_before(answer: Refundability, transactions: Transactions) -> dict[str, str]:
    """Return what is unlisted before our first call, by payment id, for the record."""
    amounts = {
        payment.payment.payment_id: payment.already_returned
        - _returned(payment.payment.payment_id, transactions.refunds)
        for payment in answer.payments
        if (monetary := payment.payment.monetary) and monetary.refunded and monetary.refund_pending
    }
    return {payment_id: f"{amount:f}" for payment_id, amount in amounts.items() if amount > 0}


def may_hide_ours(step: Step, answer: Refundability, transactions: Transactions) -> bool:
    """Whether more is unlisted than before our first call.

    A refund that is listed since may be one of those, so it reduces what was unlisted before.
    """
    facts = step.refund.facts
    since = [one for one in transactions.refunds if one.id not in facts.refunds_before]
    for payment in answer.payments:
        payment_id = payment.payment.payment_id
        before = Decimal(facts.unlisted_before.get(payment_id, 0))
        hidden = payment.already_returned - _returned(payment_id, transactions.refunds)
        if hidden > max(Decimal(0), before - _returned(payment_id, since)):
            return True
    return False


def _returned(payment_id: str, refunds: Iterable[WixRefund]) -> Decimal:
    """Return the sum of these refunds of a payment that have not failed."""
    parts = [part for refund in refunds for part in refund.transactions]
    mine = [p for p in parts if p.payment_id == payment_id and p.refund_status != "FAILED"]
    return sum((part.amount.amount for part in mine if part.amount), Decimal(0))
