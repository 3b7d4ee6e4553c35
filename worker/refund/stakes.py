"""How much money a refund is about, as far as it is known; `lua/index.lua` says the same."""

from __future__ import annotations

from decimal import Decimal
from typing import NamedTuple

from worker.refund.record import Refund

#: The ledger adds amounts up in units of this size.
UNIT = Decimal("0.0001")


class Stake(NamedTuple):
    """An amount with its currency; each "" if it is not known."""

    amount: str
    currency: str

    def __str__(self) -> str:
        return f"{self.amount} {self.currency}".strip() if self.amount else ""


def stake_of(refund: Refund) -> Stake:
    """Return what is to be recovered, what was refunded, or what the job asks for.

    A whole order without an amount stands for what it had taken when it was first read.
    """
    facts, request = refund.facts, refund.request
    overpaid = facts.overpaid.amount if facts.overpaid else ""
    whole = "" if request.has_items else facts.left_to_refund
    amount = overpaid or facts.refund_amount or request.amount or whole
    return Stake(amount, facts.currency or request.currency or "")


def amount_of_units(units: int) -> Decimal:
    """Return an amount that the ledger added up, without needless zeros but with two decimals."""
    amount = units * UNIT
    shown = amount.quantize(Decimal("0.01"))
    return shown if shown == amount else amount
