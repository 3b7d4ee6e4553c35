"""A cell is a ledger like any other: the settings with its namespace, and its share of the limits.

A limit for all stores together cannot be counted over several ledgers in one atomic write. So each
cell gets an equal share of it: together they never exceed the limit, unless it is smaller than the
number of cells.
"""

from __future__ import annotations

from decimal import ROUND_DOWN, Decimal
from pathlib import Path

from config.guards import EVERY_STORE, parse_limits
from config.settings import Settings
from worker.cells.names import FRONT, all_cells, front_of, namespace_of

#: The limits of the money guards have up to four decimals.
_SMALLEST = Decimal("0.0001")


def settings_of(given: Settings, cell: str, count: int) -> Settings:
    """Return the settings of one of so many cells; with one cell these are the ones given."""
    if count == 1:
        return given
    shares = len(all_cells(count))
    return given.model_copy(
        update={
            "cells": count,
            "namespace": namespace_of(front_of(given.namespace), cell),
            # The setting names that of the front; this machine remembers those of the others.
            "installation": given.installation if cell == FRONT else None,
            # An archive belongs to one ledger.
            "archive": _archive_of(given.archive, cell),
            "guard_all_hour": share(given.guard_all_hour, shares),
            "guard_all_day": share(given.guard_all_day, shares),
        }
    )


def _archive_of(archive: Path | None, cell: str) -> Path | None:
    """Return the directory of a cell's archive: inside of that of the front."""
    return archive if archive is None or cell == FRONT else archive / f"cell-{cell}"


def share(text: str | None, shares: int) -> str | None:
    """Return an equal share of a limit for all stores, rounded down.

    It is at least one refund, unless the limit is none.
    """
    if text is None:
        return None
    limit = parse_limits(text)[EVERY_STORE]
    parts = [] if limit.count is None else [f"{_part(limit.count, shares)} refunds"]
    for currency, amount in limit.amounts.items():
        part = (amount / shares).quantize(_SMALLEST, rounding=ROUND_DOWN)
        parts.append(f"{part:f} {currency}")
    return ", ".join(parts)


def _part(count: int, shares: int) -> int:
    return max(min(count, 1), count // shares)
