"""Find the refunds of an id in all cells: an id names one refund, wherever its store lives."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import suppress
from typing import Any

import redis

from worker.cells.clients import Clients
from worker.errors import StoreInTwoCells


def holders(
    clients: Clients, cells: Iterable[str], refund_ids: Iterable[str]
) -> dict[str, dict[str, str]]:
    """Return, by id, the cells that have or had such a refund, and its store.

    The store of a forgotten refund is not known any more: it is "". A cell that does not answer is
    left out: the jobs of the others do not wait for it.
    """
    ids, found = list(refund_ids), dict[str, dict[str, str]]()
    for cell in cells if ids else ():
        if not clients.is_away(cell):
            with suppress(redis.RedisError), clients.watched(cell):
                for refund_id, store_id in _held(clients, cell, ids):
                    found.setdefault(refund_id, {})[cell] = store_id
    return found


def _held(clients: Clients, cell: str, ids: list[str]) -> list[tuple[str, str]]:
    ns = clients.ns(cell)
    with clients.of(cell).pipeline(transaction=False) as pipe:
        for refund_id in ids:
            pipe.hmget(f"{ns}:refund:{refund_id}", "digest", "store_id")
        records: list[Any] = pipe.execute()
    return [
        (refund_id, store_id or "")
        for refund_id, (digest, store_id) in zip(ids, records, strict=True)
        if digest
    ]


def checked_home(
    store_id: str, home: str, held_by: Mapping[str, str]
) -> str | StoreInTwoCells | None:
    """Return the cell that accepts a job, None if only others have a refund with its id.

    It is an error if such a refund is of the same store, which must be in one cell only.
    """
    if not held_by or home in held_by:
        return home
    same = [cell for cell, store in held_by.items() if store == store_id]
    return StoreInTwoCells(store_id, [*same, home]) if same else None
