"""Amounts as events show them: a decimal, and a whole number of the currency's smallest unit."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
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


def minor_units(amount: str | None, currency: str | None) -> int | None:
    """Return an amount in the smallest unit of its currency; None if it is not a whole number."""
    if not amount or not currency:
        return None
    units = Decimal(amount).scaleb(DECIMALS.get(currency, 2))
    return int(units) if units == units.to_integral_value() else None


def money(amount: str, currency: str) -> dict[str, Any] | None:
    """Return an amount as events show it; None if it is not known."""
    if not amount:
        return None
    units = minor_units(amount, currency)
    return {"amount": amount, "currency": currency or None, "minor_units": units}


def with_minor_units(rows: Iterable[Mapping[str, Any]], currency: str) -> list[dict[str, Any]]:
    """Return rows that have an `amount`, in minor units, too."""
    return [{**row, "minor_units": minor_units(row.get("amount"), currency)} for row in rows]
