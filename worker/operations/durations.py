"""Durations, numbers and amounts for people."""

from __future__ import annotations

from collections.abc import Mapping

#: Units of a duration, the largest first, in ms.
_UNITS = (("d", 86_400_000), ("h", 3_600_000), ("min", 60_000), ("s", 1_000))


def span(ms: float) -> str:
    """Return a duration in its two largest units: "4 min 10 s"; "0.35 s" below ten seconds."""
    if ms < 10_000:
        return f"{max(0, ms) / 1000:.2g} s"
    for place, (name, unit) in enumerate(_UNITS):
        if ms >= unit:
            whole, rest = divmod(round(ms), unit)
            if place + 1 == len(_UNITS):
                return f"{whole} {name}"
            smaller, its_unit = _UNITS[place + 1]
            return (
                f"{whole} {name} {rest // its_unit} {smaller}"
                if rest >= its_unit
                else f"{whole} {name}"
            )
    raise AssertionError("unreachable: ten seconds have a unit")


def ago(at_ms: int | None, now_ms: int) -> str:
    """Return how long ago a moment is; "" if there is none."""
    return span(now_ms - at_ms) if at_ms else ""


def amounts(by_currency: Mapping[str, str]) -> str:
    """Return sums like "1,912.40 USD, 70.00 EUR"."""
    return ", ".join(f"{amount_text(a)} {currency}".strip() for currency, a in by_currency.items())


def amount_text(amount: str) -> str:
    """Return a decimal with commas between thousands; other text as it is."""
    whole, point, part = amount.partition(".")
    return f"{int(whole):,}{point}{part}" if whole.isdecimal() and whole.isascii() else amount


def size(count: int) -> str:
    """Return a number of bytes like "12.3 MB"."""
    for name, unit in (("GB", 10**9), ("MB", 10**6), ("kB", 10**3)):
        if count >= unit:
            return f"{count / unit:.1f} {name}"
    return f"{count} bytes"
