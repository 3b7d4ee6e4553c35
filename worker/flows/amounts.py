"""Money: the precision of a currency, and the part of a payment that is refunded (pure)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from decimal import ROUND_DOWN, ROUND_HALF_UP, Decimal
from typing import Any

from worker.refund.money import DECIMALS


def unit_of(currency: str) -> Decimal:
    """Return the smallest amount of a currency."""
    return Decimal(1).scaleb(-DECIMALS.get(currency, 2))


def is_exact(amount: Decimal, currency: str) -> bool:
    """Whether *amount* has no more decimals than its currency allows."""
    return amount % unit_of(currency) == 0


def rounded(amount: Decimal, currency: str) -> Decimal:
    """Round to the decimals of the currency, half up."""
    return amount.quantize(unit_of(currency), ROUND_HALF_UP)


def cut(amount: Decimal, currency: str) -> Decimal:
    """Round down to the decimals of the currency: no more can be refunded than is left."""
    return amount.quantize(unit_of(currency), ROUND_DOWN)


def price(amount: Decimal, currency: str) -> dict[str, str]:
    """Return the JSON of an amount for Wix, with exactly the decimals of its currency."""
    return {"amount": f"{cut(amount, currency):f}"}


@dataclass(frozen=True, kw_only=True)
class Source:
    """A payment that can be refunded."""

    payment_id: str
    max_refund: Decimal | None
    """What is left of the payment; None for a membership, which has no amount."""
    only_in_full: bool = False
    """Whether only all of it can be refunded: gift cards and memberships."""
    external: bool = False
    """Whether Wix only records the refund, because the money moves elsewhere."""

    def take(self, amount: Decimal | None) -> Share:
        """Refund *amount*, or everything if the payment can only be refunded in full."""
        return Share(source=self, amount=None if self.only_in_full else amount)


@dataclass(frozen=True)
class Share:
    """The part of a refund that goes to one payment."""

    source: Source
    amount: Decimal | None
    """None to refund the whole payment."""

    @property
    def moves(self) -> Decimal | None:
        """What goes back; 0 for a membership, which is not money, None if it is not known."""
        if self.amount is None and self.source.only_in_full:
            return self.source.max_refund or Decimal(0)
        return self.amount

    def wire(self, currency: str) -> dict[str, Any]:
        """Return the JSON for Wix's refund call. W63."""
        part = {"paymentId": self.source.payment_id, "externalRefund": self.source.external}
        if self.amount is None:
            return part
        return part | {"amount": price(self.amount, currency)}


def total_of(shares: Iterable[Share]) -> Decimal | None:
    """Return what all shares return together; None if that of one is not known."""
    moved = [share.moves for share in shares]
    return None if None in moved else sum((one for one in moved if one), Decimal(0))
