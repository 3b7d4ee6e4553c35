"""What the ledger has counted, in words and amounts: dead letters by cause, calls to Wix."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from worker.observability.meter import CLASSES_MS
from worker.refund.stakes import amount_of_units

#: Between a group's name and a currency, in the names of its counts (`lua/index.lua`).
SEPARATOR = "\x1f"
#: In the place of a currency: refunds whose amount is not known.
UNKNOWN = "?"


@dataclass
class Group:
    """Dead letters that have something in common."""

    name: str
    count: int = 0
    amounts: dict[str, Decimal] = field(default_factory=dict)
    """The sum at stake, by currency."""
    unknown: int = 0
    """How many of them have no known amount."""

    @classmethod
    def of(cls, name: str, stakes: Iterable[tuple[str, str]]) -> Group:
        """Count members by their amounts and currencies."""
        group = cls(name)
        for amount, currency in stakes:
            group.count += 1
            if amount:
                group.amounts[currency] = group.amounts.get(currency, Decimal(0)) + Decimal(amount)
            else:
                group.unknown += 1
        return group

    def public(self, kind: str) -> dict[str, Any]:
        """Return the group as operators see it."""
        amounts = {currency: f"{amount:f}" for currency, amount in sorted(self.amounts.items())}
        return {
            kind: self.name,
            "count": self.count,
            "amounts": amounts,
            "amount_unknown": self.unknown,
        }


def groups_of(counts: Mapping[str, str]) -> list[Group]:
    """Return the groups of one kind, the largest first."""
    found: dict[str, Group] = {}
    for name, number in counts.items():
        value, separator, currency = name.partition(SEPARATOR)
        group = found.setdefault(value, Group(value))
        if not separator:
            group.count = int(number)
        elif currency == UNKNOWN:
            group.unknown = int(number)
        else:
            group.amounts[currency] = amount_of_units(int(number))
    return sorted(found.values(), key=lambda group: (-group.count, group.name))


def amounts_of(counts: Mapping[str, str], prefix: str) -> dict[str, str]:
    """Return sums by currency."""
    return {
        name.removeprefix(prefix): f"{amount_of_units(int(number)):f}"
        for name, number in sorted(counts.items())
        if name.startswith(prefix)
    }


#: The counts of a minute that `refunds watch` draws, and the states that they add up.
THROUGHPUT: Mapping[str, tuple[str, ...]] = {
    "accepted": ("accepted",),
    "finished": ("refunded", "cancelled", "voided"),
    "rejected": ("rejected",),
    "dead": ("dead",),
}


def wix_of(minutes: Iterable[Mapping[str, str]]) -> dict[str, Any]:
    """Return calls to Wix by result and their latency, and the throughput of each minute."""
    results: defaultdict[str, int] = defaultdict(int)
    within: defaultdict[str, int] = defaultdict(int)
    total_ms, per_minute = 0, []
    for minute in minutes:
        for name, number in minute.items():
            kind, _, value = name.partition(":")
            if kind == "wix":
                results[value] += int(number)
            elif kind == "within":
                within[value] += int(number)
        total_ms += int(minute.get("wix_ms", 0))
        counts = {n: sum(int(minute.get(s, 0)) for s in states) for n, states in THROUGHPUT.items()}
        of_wix = {name[4:]: int(n) for name, n in minute.items() if name.startswith("wix:")}
        failed = sum(n for result, n in of_wix.items() if not result.startswith("2"))
        calls = {"wix_calls": sum(of_wix.values()), "wix_errors": failed}
        per_minute.append({"minute": int(minute["at"]), **counts, **calls})
    total = sum(results.values())
    return {
        "calls": total,
        "results": dict(sorted(results.items(), key=lambda item: -item[1])),
        "mean_ms": round(total_ms / total) if total else None,
        "p50_ms": quantile(within, 0.5),
        "p95_ms": quantile(within, 0.95),
        "minutes": per_minute,
    }


def quantile(within: Mapping[str, int], share: float) -> int | None:
    """Return the limit of the class in which this share of the calls ends; None if unknown."""
    wanted, seen = math.ceil(share * sum(within.values())), 0
    for limit in CLASSES_MS:
        seen += within.get(str(limit), 0)
        if wanted and seen >= wanted:
            return limit
    return None
