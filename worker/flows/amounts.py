"""Money: the precision of a currency, and how to spread an amount over payments (pure)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from types import MappingProxyType
from typing import Any

#: Currencies whose number of decimals is not two. Source: ISO 4217, list one.
DECIMALS: Mapping[str, int] = MappingProxyType({
    "BIF": 0, "CLP": 0, "DJF": 0, "GNF": 0, "ISK": 0, "JPY": 0, "KMF": 0, "KRW": 0, "PYG": 0,
    "RWF": 0, "UGX": 0, "UYI": 0, "VND": 0, "VUV": 0, "XAF": 0, "XOF": 0, "XPF": 0,
    "BHD": 3, "IQD": 3, "JOD": 3, "KWD": 3, "LYD": 3, "OMR": 3, "TND": 3,
    "CLF": 4, "UYW": 4,
})  # fmt: skip


def is_exact(amount: Decimal, currency: str) -> bool:
    """Whether *amount* has no more decimals than its currency allows."""
    unit = Decimal(1).scaleb(-DECIMALS.get(currency, 2))
    return amount % unit == 0


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

    def wire(self) -> dict[str, Any]:
        """Return the JSON for Wix's refund call. W63."""
        part = {"paymentId": self.source.payment_id, "externalRefund": self.source.external}
        if self.amount is None:
            return part
        return part | {"amount": {"amount": f"{self.amount:f}"}}


def everything(sources: Iterable[Source]) -> list[Share]:
    """Refund everything that is left of every payment."""
    return [source.take(source.max_refund) for source in sources]


def spread(total: Decimal, sources: Sequence[Source]) -> list[Share] | None:
    """Spread *total* over the payments; None if they cannot cover it exactly.

    Payments that Wix refunds itself come first, in their order, each up to what is left of it. A
    payment that can only be refunded in full is used when the others do not suffice. Payments that
    Wix only records come last.
    """
    automatic = [source for source in sources if not source.external]
    shares = _spread_in_order(total, automatic)
    if shares is not None:
        return shares
    rest = total - sum((s.max_refund or Decimal(0) for s in automatic), Decimal(0))
    external = [source for source in sources if source.external]
    recorded = _spread_in_order(rest, external) if rest > 0 else None
    if recorded is None:
        return None
    return everything(source for source in automatic if source.max_refund) + recorded


def _spread_in_order(total: Decimal, sources: Sequence[Source]) -> list[Share] | None:
    divisible = [s for s in sources if not s.only_in_full and s.max_refund]
    missing = total - sum((s.max_refund for s in divisible if s.max_refund), Decimal(0))
    left, taken = total, {}
    for source in sources:
        whole = source.max_refund if source.only_in_full else None
        if missing > 0 and whole and whole <= left:
            taken[source.payment_id] = source.take(whole)
            left -= whole
            missing -= whole
    for source in divisible:
        part = min(left, source.max_refund or left)
        if part > 0:
            taken[source.payment_id] = source.take(part)
            left -= part
    # In the order of the payments, so that the same input gives the same call.
    return None if left else [taken[s.payment_id] for s in sources if s.payment_id in taken]
