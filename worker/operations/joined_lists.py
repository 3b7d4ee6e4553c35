"""One list of the refunds of several cells, in order, with one cursor."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from decimal import Decimal
from typing import Any

from worker.ledger.search import Match
from worker.operations.listing import Listing
from worker.operations.searching import Page, Sort

#: A row, the match that it is of, and its cell.
Row = tuple[dict[str, Any], Match, str]


def page_of_each(sort: Sort, after: str, limit: int | None) -> tuple[str, int | None]:
    """Return from where on, and how many, must be read in each cell.

    A cursor is a time and an id, so by time each cell continues by itself; in another order the
    place of the cursor is only known in the joined list.
    """
    return (after, limit) if sort in {"newest", "oldest"} else ("", None)


def join_listings(
    by_cell: Mapping[str, Listing], *, sort: Sort, after: str, limit: int | None
) -> Listing:
    """Return one page for the pages of all cells, read as `page_of_each` says."""
    rows = sorted(_rows(by_cell), key=_KEYS[sort], reverse=sort in {"newest", "amount"})
    places = [match.cursor for _, match, _ in rows]
    if after in places:
        rows = rows[places.index(after) + 1 :]
    elif after and sort in {"newest", "oldest"}:
        rows = [row for row in rows if _is_behind(row[1], after, newest=sort == "newest")]
    shown = rows if limit is None else rows[:limit]
    has_more = len(shown) < len(rows) or any(one.page.after for one in by_cell.values())
    pages = [one.page for one in by_cell.values()]
    page = Page(
        matches=[match for _, match, _ in shown],
        total=sum(page.total for page in pages),
        amounts=_added(page.amounts for page in pages),
        unknown=sum(page.unknown for page in pages),
        after=shown[-1][1].cursor if has_more and shown else "",
    )
    return Listing(rows=[{**row, "cell": cell} for row, _, cell in shown], page=page)


def _rows(by_cell: Mapping[str, Listing]) -> Iterable[Row]:
    for cell, listing in by_cell.items():
        matches = {match.refund_id: match for match in listing.page.matches}
        for row in listing.rows:
            yield row, matches[row["refund_id"]], cell


def _place(match: Match) -> tuple[int, str]:
    score, _, refund_id = match.cursor.partition(":")
    return int(score), refund_id


_KEYS: Mapping[Sort, Callable[[Row], Any]] = {
    "newest": lambda row: _place(row[1]),
    "oldest": lambda row: _place(row[1]),
    "amount": lambda row: Decimal(row[1].amount or 0),
    "store": lambda row: str(row[0]["store_id"]),
}


def _is_behind(match: Match, after: str, *, newest: bool) -> bool:
    score, _, refund_id = after.partition(":")
    cursor = (int(score), refund_id)
    return _place(match) < cursor if newest else _place(match) > cursor


def _added(given: Iterable[Mapping[str, str] | None]) -> dict[str, str] | None:
    sums: dict[str, Decimal] = {}
    known = [one for one in given if one is not None]
    for amounts in known:
        for currency, amount in amounts.items():
            sums[currency] = sums.get(currency, Decimal(0)) + Decimal(amount)
    return {currency: f"{sums[currency]:f}" for currency in sorted(sums)} if known else None


def join_groups(of_each: Iterable[list[dict[str, Any]]], kind: str) -> list[dict[str, Any]]:
    """Return the groups of dead letters of all cells, the largest first."""
    groups: dict[str, dict[str, Any]] = {}
    for group in (group for groups_of_cell in of_each for group in groups_of_cell):
        known = groups.setdefault(group[kind], {**group, **_NONE})
        known["count"] += group["count"]
        known["amount_unknown"] += group["amount_unknown"]
        known["amounts"] = _added([known["amounts"], group["amounts"]])
        if (group["newest_at_ms"] or 0) >= (known["newest_at_ms"] or 0):
            known |= {name: group[name] for name in ("newest_at_ms", "example")}
        times = [one["oldest_at_ms"] for one in (known, group) if one["oldest_at_ms"]]
        known["oldest_at_ms"] = min(times, default=None)
    return sorted(groups.values(), key=lambda group: (-group["count"], group[kind]))


_NONE: Mapping[str, Any] = {
    "count": 0,
    "amount_unknown": 0,
    "amounts": {},
    "newest_at_ms": None,
    "oldest_at_ms": None,
}
