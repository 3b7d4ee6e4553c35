"""Searching: filters, sort order and pages. W22, W80."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from decimal import Decimal, InvalidOperation
from typing import Any

from worker.simulator.contract.refusals import Json, Refusal
from worker.simulator.contract.validation import violation

_OPERATORS: Mapping[str, Callable[[Any, Any], bool]] = {
    "$eq": lambda found, wanted: bool(found == wanted),
    "$ne": lambda found, wanted: bool(found != wanted),
    "$in": lambda found, wanted: found in wanted,
    "$nin": lambda found, wanted: found not in wanted,
    "$gt": lambda found, wanted: found is not None and bool(found > wanted),
    "$gte": lambda found, wanted: found is not None and bool(found >= wanted),
    "$lt": lambda found, wanted: found is not None and bool(found < wanted),
    "$lte": lambda found, wanted: found is not None and bool(found <= wanted),
    "$startsWith": lambda found, wanted: str(found).startswith(str(wanted)),
    "$exists": lambda found, wanted: (found is not None) == wanted,
}


def _refuse(at: str, why: str) -> Refusal:
    return Refusal(400, violations=[violation(at, "VALIDATION", why)])


def _value(value: Any) -> Any:
    """Convert amounts and timestamps, so that they are not compared as text."""
    if isinstance(value, list):
        return [_value(item) for item in value]
    if not isinstance(value, str):
        return value
    try:
        return Decimal(value)
    except InvalidOperation:
        pass
    try:
        return datetime.fromisoformat(value) if len(value) > 9 else value
    except ValueError:
        return value


def _at(item: Json, path: str) -> Any:
    found: Any = item
    for part in path.split("."):
        found = found.get(part) if isinstance(found, dict) else None
    return _value(found)


def matches(item: Json, wanted: Mapping[str, Any], fields: frozenset[str]) -> bool:
    """Return whether *item* matches the filter, which may only use *fields*."""
    return all(_fits(item, name, condition, fields) for name, condition in wanted.items())


def _fits(item: Json, name: str, condition: Any, fields: frozenset[str]) -> bool:
    if name in {"$and", "$or"}:
        parts = (matches(item, part, fields) for part in condition)
        return all(parts) if name == "$and" else any(parts)
    if name == "$not":
        return not matches(item, condition, fields)
    if name not in fields:
        raise _refuse(f"filter.{name}", "cannot be filtered by")
    tests = condition if isinstance(condition, dict) else {"$eq": condition}
    if unknown := tests.keys() - _OPERATORS.keys():
        raise _refuse(f"filter.{name}", f"has an unknown operator {min(unknown)}")
    found = _at(item, name)
    try:
        return all(_OPERATORS[op](found, _value(value)) for op, value in tests.items())
    except TypeError:
        raise _refuse(f"filter.{name}", "compares values of different types") from None


def page(
    items: Iterable[Json], query: Mapping[str, Any], fields: frozenset[str], *, newest: str
) -> tuple[list[Json], Json]:
    """Return one page and its metadata.

    A cursor contains the filter, the sort order and the page size (documented).
    """
    paging = query.get("cursorPaging") or {}
    start = 0
    if paging.get("cursor"):
        start, query = _opened(paging["cursor"])
        paging = {"limit": paging.get("limit"), **(query.get("cursorPaging") or {})}
    limit = paging.get("limit") or 100
    found = [item for item in items if matches(item, query.get("filter") or {}, fields)]
    sort = query.get("sort") or [{"fieldName": newest, "order": "DESC"}]
    for by in reversed(sort):
        if by["fieldName"] not in fields:
            raise _refuse(f"sort.{by['fieldName']}", "cannot be sorted by")
        found.sort(
            key=lambda item: str(_at(item, by["fieldName"])), reverse=by.get("order") == "DESC"
        )
    cursors = {"next": _closed(start + limit, query)} if start + limit < len(found) else {}
    if start:
        cursors["prev"] = _closed(max(0, start - limit), query)
    shown = found[start : start + limit]
    return shown, {"count": len(shown), "cursors": cursors, "hasNext": "next" in cursors}


def _closed(start: int, query: Mapping[str, Any]) -> str:
    return base64.urlsafe_b64encode(json.dumps([start, query]).encode()).decode()


def _opened(cursor: str) -> tuple[int, Json]:
    try:
        start, query = json.loads(base64.urlsafe_b64decode(cursor))
    except ValueError:
        raise _refuse("cursorPaging.cursor", "is invalid") from None
    return start, query
