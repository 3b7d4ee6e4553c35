"""Amounts, in Wix's format."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from decimal import Decimal

from worker.simulator.contract.refusals import Json

#: Number of decimals of a currency, where it is not two (ISO 4217).
_DIGITS: Mapping[str, int] = {
    "BIF": 0, "CLP": 0, "DJF": 0, "GNF": 0, "ISK": 0, "JPY": 0, "KMF": 0, "KRW": 0, "PYG": 0,
    "RWF": 0, "UGX": 0, "UYI": 0, "VND": 0, "VUV": 0, "XAF": 0, "XOF": 0, "XPF": 0,
    "BHD": 3, "IQD": 3, "JOD": 3, "KWD": 3, "LYD": 3, "OMR": 3, "TND": 3,
    "CLF": 4, "UYW": 4,
}  # fmt: skip
_SIGNS: Mapping[str, str] = {"USD": "$", "EUR": "€", "GBP": "£", "JPY": "¥", "ILS": "₪"}


def digits(currency: str) -> int:
    """Return the number of decimals of a currency."""
    return _DIGITS.get(currency, 2)


def cent(currency: str) -> Decimal:
    """Return the smallest amount of a currency."""
    return Decimal(1).scaleb(-digits(currency))


def money(amount: Decimal, currency: str = "USD") -> Json:
    """Return an amount as Wix sends it."""
    sign = _SIGNS.get(currency, f"{currency} ")
    return {"amount": f"{amount:f}", "formattedAmount": f"{sign}{amount:.{digits(currency)}f}"}


def total(amounts: Iterable[Decimal]) -> Decimal:
    """Return the exact sum."""
    return sum(amounts, Decimal(0))
