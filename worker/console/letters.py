"""The page of the dead letters: in groups, and one by one to choose from."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from starlette.responses import Response

from worker.console.desk import Visit
from worker.console.desks import Desks
from worker.console.lists import (
    MOST_ROWS,
    cursor_of,
    given_filters,
    list_all,
    query,
    rows_of,
    selection,
    sort_of,
)
from worker.console.refunds import choices
from worker.ledger.search import KINDS
from worker.operations import listing
from worker.operations.joined_lists import join_groups
from worker.operations.selection import Selection

#: By which filter the members of a group are found.
FILTER_OF: Mapping[str, str] = {
    "reason": "reason_code",
    **{kind: kind for kind in KINDS if kind != "reason"},
}


def dead(desks: Desks, visit: Visit) -> Response:
    """Show what needs a person: the groups, then the letters."""
    given, by = given_filters(visit.query), visit.query.one("by", "reason")
    by = by if by in KINDS else "reason"
    chosen, sort = selection(given), sort_of(visit.query)
    after = cursor_of(visit.query)
    found = list_all(desks, chosen, dead=True, sort=sort, after=after)
    letters = _letters(desks, chosen)
    rows = found.rows if found.page.after else [*found.rows, *letters[:MOST_ROWS]]
    return visit.page(
        "dead.html",
        title="Dead letters",
        groups=_groups(desks, chosen, by, given),
        by=by,
        kinds=KINDS,
        rows=rows,
        page=found.page,
        letters=len(letters),
        given=given,
        sort=sort,
        remedies=_remedies(rows),
        **choices(),
        next=query("/dead", given, sort=sort, by=by, after=found.page.after),
    )


def _letters(desks: Desks, chosen: Selection) -> list[dict[str, Any]]:
    """Return the letters of messages of all cells, newest first."""
    found = rows_of(desks.each(lambda desk: listing.letter_rows(desk.search.letters(), chosen)))
    return sorted(found, key=lambda row: (-(row["died_at_ms"] or 0), row["id"]))


def _groups(
    desks: Desks, chosen: Selection, by: str, given: Mapping[str, str]
) -> list[dict[str, Any]]:
    """Return the groups, each with the address that shows only its members."""
    found = list(desks.each(lambda desk: listing.groups(desk.search, chosen, by)).values())
    rows = found[0] if len(found) == 1 else join_groups(found, by)
    for row in rows:
        name = row[by]
        row["name"] = name or "(none)"
        row["address"] = query("/dead", {**given, FILTER_OF[by]: name}, by=by) if name else ""
    return rows


def _remedies(rows: list[dict[str, Any]]) -> dict[str, str]:
    """Return for each reason what it means and what to do."""
    return {
        str(row["reason"]): f"{row.get('sentence') or ''} {row.get('remedy') or ''}".strip()
        for row in rows
        if row.get("reason")
    }
