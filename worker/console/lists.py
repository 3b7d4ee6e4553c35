"""The filters of the lists: from the address, and back into addresses and hidden fields."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, get_args
from urllib.parse import urlencode

from worker.console.desk import Desk
from worker.console.desks import Desks
from worker.console.forms import Fields
from worker.console.refusals import Refusal
from worker.operations import listing
from worker.operations.filters import BadFilter, selection_of
from worker.operations.joined_lists import join_listings, page_of_each
from worker.operations.searching import Sort
from worker.operations.selection import Selection

#: Rows of a page.
MOST_ROWS = 100
#: The filters of `refunds list`, in the order of the form, with their labels.
FILTERS: Mapping[str, str] = {
    "refund": "Refund ID (ID* for all that begin with it)",
    "order": "Order ID",
    "store": "Store (site ID)",
    "text": "Text in the ids, the reason or the job",
    "state": "State",
    "reason_code": "Reason code",
    "code": "Code of Wix",
    "transition": "Step",
    "since": "Since (24h, 7d or a time)",
    "until": "Until",
    "amount_over": "Amount over",
}
SORTS: tuple[Sort, ...] = get_args(Sort)
_GUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_CURSOR = re.compile(r"\d{1,20}:.{1,200}")


def given_filters(fields: Fields) -> dict[str, str]:
    """Return the filters that are filled in."""
    return {name: fields.one(name) for name in FILTERS if fields.one(name)}


def selection(given: Mapping[str, str]) -> Selection:
    """Return what these filters select.

    Raises:
        Refusal: one of them is not what it may be.
    """
    try:
        return selection_of(given)
    except BadFilter as bad:
        raise Refusal(400, f"“{FILTERS[bad.name]}” takes {bad.takes}.") from None


def sort_of(fields: Fields) -> Sort:
    """Return the order of a list."""
    wanted = fields.one("sort")
    return next((known for known in SORTS if known == wanted), "newest")


def cursor_of(fields: Fields) -> str:
    """Return where a page continues, "" at the beginning."""
    after = fields.one("after")
    return after if _CURSOR.fullmatch(after) else ""


def with_search(desks: Desks, words: str, given: Mapping[str, str]) -> dict[str, str]:
    """Return the filters for what somebody typed into the one field of the search.

    An id of an order or a store has the same form: it is an order if it has refunds.
    """
    known = words.lower()
    if not words:
        return dict(given)
    if _GUID.fullmatch(known):
        of_order = desks.each(lambda desk: desk.search.of_order(known))
        name = "order" if any(of_order.values()) else "store"
        return {**given, name: known}
    return {**given, "text": words}


def query(path: str, given: Mapping[str, str], **more: str) -> str:
    """Return an address with these filters."""
    fields = {name: value for name, value in {**given, **more}.items() if value}
    return f"{path}?{urlencode(fields)}" if fields else path


def list_all(
    desks: Desks, chosen: Selection, *, dead: bool, sort: Sort, after: str
) -> listing.Listing:
    """Return one page of the refunds of all cells."""
    since, most = page_of_each(sort, after, MOST_ROWS) if desks.cells else (after, MOST_ROWS)

    def look(desk: Desk) -> listing.Listing:
        return listing.list_refunds(
            desk.search, desk.ledger, chosen, dead=dead, sort=sort, after=since, limit=most
        )

    told = desks.each(look)
    if not desks.cells:
        return told[""]
    return join_listings(told, sort=sort, after=after, limit=MOST_ROWS)


def rows_of(told: Mapping[str, Sequence[Mapping[str, Any]]]) -> list[dict[str, Any]]:
    """Return the rows of all cells, one cell after the other; each names its cell."""
    return [{**row, "cell": cell} for cell, rows in told.items() for row in rows]
