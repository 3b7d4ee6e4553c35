"""Add up how things stand in several cells (worker.operations.status)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

#: Of several times the earliest counts, of several waits the longest.
_EARLIEST = ("since_ms", "oldest_at_ms", "next_in_ms", "checked_at_ms")
#: Lists of which each cell has a part: by what the parts belong together.
_GROUPED = {"by_reason": "reason", "consumers": "group", "webhooks": "name", "minutes": "minute"}
#: Of these the largest counts: cells may share a server.
_LARGEST = frozenset({"used_bytes", "max_bytes", "fill", "starting"})


def add_up(by_cell: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """Return one status for those of all cells, which are below `cells`."""
    told = _sum(list(by_cell.values()))
    told["needs"] = [
        {**need, "text": f"Cell {cell}: {need['text']}"}
        for cell, one in by_cell.items()
        for need in one["needs"]
    ]
    return {**told, "ok": not told["needs"], "cells": dict(by_cell)}


#: The columns of `cell_row`.
CELL_COLUMNS = ("cell", "workers", "jobs", "unfinished", "in_flight", "dead", "needs")


def cell_row(cell: str, told: Mapping[str, Any]) -> dict[str, Any]:
    """Return how a cell stands, in one row."""
    return {
        "cell": cell,
        "workers": sum(worker["state"] == "alive" for worker in told["workers"]),
        "jobs": told["intake"]["jobs"],
        "unfinished": told["refunds"]["unfinished"],
        "in_flight": told["refunds"]["in_flight"],
        "dead": told["dead"]["refunds"] + told["dead"]["messages"],
        "needs": len(told["needs"]),
    }


def _sum(given: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    names = dict.fromkeys(name for one in given for name in one)
    return {name: _of(name, [one[name] for one in given if name in one]) for name in names}


def _of(name: str, values: list[Any]) -> Any:
    known = [value for value in values if value is not None]
    if not known:
        return None
    first = known[0]
    if isinstance(first, Mapping):
        return _sum(known)
    if isinstance(first, list):
        return _lists(name, known)
    if isinstance(first, str):
        return _amount(known) if _is_amount(first) else first
    if isinstance(first, bool):
        return first
    if name.endswith(_EARLIEST):
        return min(known)
    return max(known) if name.endswith("_ms") or name in _LARGEST else sum(known)


def _lists(name: str, lists: list[list[Any]]) -> list[Any]:
    rows = [row for one in lists for row in one]
    if name not in _GROUPED:
        return rows
    groups: dict[Any, list[Any]] = {}
    for row in rows:
        groups.setdefault(row[_GROUPED[name]], []).append(row)
    return [{**_sum(same), _GROUPED[name]: value} for value, same in groups.items()]


def _is_amount(text: str) -> bool:
    return text.replace(".", "", 1).isdecimal()


def _amount(texts: list[str]) -> str:
    return f"{sum(map(Decimal, texts)):f}"
