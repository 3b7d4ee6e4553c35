"""Money: how exact a currency is, and how an amount is spread over payments (pure)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from types import MappingProxyType
from typing import Any

#: Decimals of the currencies that do not have two. Source: ISO 4217, list one.
DECIMALS: Mapping[str, int] = MappingProxyType({
    "BIF": 0, "CLP": 0, "DJF": 0, "GNF": 0, "ISK": 0, "JPY": 0, "KMF": 0, "KRW": 0, "PYG": 0,
    "RWF": 0, "UGX": 0, "UYI": 0, "VND": 0, "VUV": 0, "XAF": 0, "XOF": 0, "XPF": 0,
    "BHD": 3, "IQD": 3, "JOD": 3, "KWD": 3, "LYD": 3, "OMR": 3, "TND": 3,
    "CLF": 4, "UYW": 4,
})  # fmt: skip


def is_exact(amount: Decimal, currency: str) -> bool:
    """Whether the currency has a coin for the last digit of *amount*."""
    unit = Decimal(1).scaleb(-DECIMALS.get(currency, 2))
    return amount % unit == 0


@dataclass(frozen=True, kw_only=True)
class Source:
    """A payment from which money can go back."""

    payment_id: str
    most: Decimal | None
    """All that is left of it; None when it is no money (a membership)."""
    whole: bool = False
    """Only in full: gift cards and memberships."""
    external: bool = False
    """Wix only records it: the money moves elsewhere."""

    def take(self, amount: Decimal | None) -> Share:
        """A part of it, or all when it goes only in full."""
        return Share(source=self, amount=None if self.whole else amount)


@dataclass(frozen=True)
class Share:
    """What is refunded of one payment."""

    source: Source
    amount: Decimal | None
    """None for all of what goes only in full."""

    def wire(self) -> dict[str, Any]:
        """As refund-payments wants it. W63."""
        part = {"paymentId": self.source.payment_id, "externalRefund": self.source.external}
        if self.amount is None:
            return part
        return part | {"amount": {"amount": f"{self.amount:f}"}}


def everything(sources: Iterable[Source]) -> list[Share]:
    """All that is left of every payment."""
    return [source.take(source.most) for source in sources]


def spread(total: Decimal, sources: Sequence[Source]) -> list[Share] | None:
    """Spread *total* over payments, None when it does not come out even.

    Those that Wix pays itself first, in order of payment, each up to what is left of it; what goes
    only in full is taken when the others do not suffice; what is only recorded comes last.
    """
    automatic = [source for source in sources if not source.external]
    shares = _spread(total, automatic)
    if shares is not None:
        return shares
    rest = total - sum((s.most or Decimal(0) for s in automatic), Decimal(0))
    recorded = _spread(rest, [s for s in sources if s.external]) if rest > 0 else None
    return None if recorded is None else everything(s for s in automatic if s.most) + recorded


def _spread(total: Decimal, sources: Sequence[Source]) -> list[Share] | None:
    divisible = [s for s in sources if not s.whole and s.most]
    missing = total - sum((s.most for s in divisible if s.most), Decimal(0))
    left, taken = total, {}
    for source in sources:
        if missing > 0 and source.whole and source.most and source.most <= left:
            taken[source.payment_id] = source.take(source.most)
            left -= source.most
            missing -= source.most
    for source in divisible:
        part = min(left, source.most or left)
        if part > 0:
            taken[source.payment_id] = source.take(part)
            left -= part
    # In the order of the payments, so that the same question gives the same call.
    return None if left else [taken[s.payment_id] for s in sources if s.payment_id in taken]
