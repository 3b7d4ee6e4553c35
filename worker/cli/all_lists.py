"""Lists of the refunds of all cells."""

from __future__ import annotations

from collections.abc import Mapping

from worker.app import ledger_from
from worker.cli.cells import all_settings
from worker.cli.common import close_at_end, settings
from worker.ledger.refunds import Ledger
from worker.ledger.search import Search
from worker.operations import listing
from worker.operations.joined_lists import join_listings, page_of_each
from worker.operations.searching import Sort
from worker.operations.selection import Selection
from worker.queue.broker import Broker


def connect_all() -> dict[str, tuple[Broker, Ledger]]:
    """Connect to the ledger, or to that of each cell, by its name."""
    opened = {cell: ledger_from(given) for cell, given in all_settings(settings()).items()}
    for broker, _ in opened.values():
        close_at_end(broker.client.close)
    return opened


def list_all(
    opened: Mapping[str, tuple[Broker, Ledger]],
    selection: Selection,
    *,
    dead: bool,
    sort: Sort,
    after: str,
    limit: int | None,
) -> listing.Listing:
    """Return one page of the refunds of all cells."""
    since, most = page_of_each(sort, after, limit) if len(opened) > 1 else (after, limit)
    found = {
        cell: listing.list_refunds(
            search_for(broker), ledger, selection, dead=dead, sort=sort, after=since, limit=most
        )
        for cell, (broker, ledger) in opened.items()
    }
    if len(found) == 1:
        return next(iter(found.values()))
    return join_listings(found, sort=sort, after=after, limit=limit)


def search_for(broker: Broker) -> Search:
    """Return what searches the ledger, on the broker's connection."""
    return Search(broker.client, namespace=broker.namespace[1:-1])
