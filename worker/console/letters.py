"""The page of the dead letters: in groups, and one by one to choose from."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from starlette.responses import Response

from worker.console.desk import Desk, Visit
from worker.console.lists import (
    MOST_ROWS,
    cursor_of,
    given_filters,
    query,
    selection,
    sort_of,
)
from worker.console.refunds import choices
from worker.ledger.search import KINDS
from worker.operations import listing
from worker.operations.selection import Selection

#: By which filter the members of a group are found.
FILTER_OF: Mapping[str, str] = {
    "reason": "reason_code",
    **{kind: kind for kind in KINDS if kind != "reason"},
}


def dead(desk: Desk, visit: Visit) -> Response:
    """Show what needs a person: the groups, then the letters."""
    given, by = given_filters(visit.query), visit.query.one("by", "reason")
    by = by if by in KINDS else "reason"
    chosen, sort = selection(given), sort_of(visit.query)
    found = listing.list_refunds(
        desk.search,
        desk.ledger,
        chosen,
        dead=True,
        sort=sort,
        after=cursor_of(visit.query),
        limit=MOST_ROWS,
    )
    letters = listing.letter_rows(desk.search.letters(), chosen)
    rows = found.rows if found.page.after else [*found.rows, *letters[:MOST_ROWS]]
    return visit.page(
        "dead.html",
        title="Dead letters",
        groups=_groups(desk, chosen, by, given),
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


def _groups(
    desk: Desk, chosen: Selection, by: str, given: Mapping[str, str]
) -> list[dict[str, Any]]:
    """Return the groups, each with the address that shows only its members."""
    rows = listing.groups(desk.search, chosen, by)
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
