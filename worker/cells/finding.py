"""Find the cell of what a command or a caller of the API names."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import redis

from worker.cells.clients import Clients
from worker.cells.directory import Directory
from worker.cells.names import all_cells
from worker.cells.repeats import checked_home, holders
from worker.errors import StoreInTwoCells
from worker.queue.broker import INTAKE
from worker.upstream.wire import place_of

#: Whether a cell has something: its client, how its keys begin, and the id.
Has = Callable[[redis.Redis, str, str], object]


class Finder:
    """Looks into the cells. Raises redis.RedisError if a server does not answer."""

    def __init__(self, clients: Clients, directory: Directory) -> None:
        self._clients = clients
        self._directory = directory
        self.count = directory.count()
        self.cells = all_cells(self.count)

    def of_store(self, store_id: str) -> str | None:
        """Return the cell of a store, None if it has none yet.

        Raises:
            StoreInTwoCells: the directory does not know it, and several cells do.
        """
        return self.recorded(store_id) or self._directory.evidence(store_id, self.cells)

    def recorded(self, store_id: str) -> str | None:
        """Return the cell of a store by the directory alone, None if it does not know the store."""
        return self._directory.known(store_id)

    def home(self, store_id: str) -> str:
        """Return the cell of a store that gets something now; one that has none gets one.

        Raises:
            StoreInTwoCells: see `of_store`.
        """
        return self._directory.settle(store_id)

    def home_of_job(self, store_id: str, refund_id: str) -> str | None:
        """Return the cell that accepts a job, None if another one has a refund with its id.

        Raises:
            StoreInTwoCells: see `of_store`; or the refund in the other cell is of the same store.
        """
        held = holders(self._clients, self.cells, [refund_id])
        home = checked_home(store_id, self.home(store_id), held.get(refund_id, {}))
        if isinstance(home, StoreInTwoCells):
            raise home
        return home

    def of_refund(self, refund_id: str) -> list[str]:
        """Return the cells that have a refund, or a letter with this id; else those of its job."""
        return self._with(refund_id, has_refund) or self._with(refund_id, has_queued)

    def of_order(self, order_id: str) -> list[str]:
        """Return the cells that have refunds of an order."""
        return self._with(order_id, _has_order)

    def of_job(self, job_id: str) -> list[str]:
        """Return the cells that have a bulk act."""
        return self._with(job_id, _has_job)

    def _with(self, wanted: str, has: Has) -> list[str]:
        return [c for c in self.cells if has(self._clients.of(c), self._clients.ns(c), wanted)]


def has_refund(client: redis.Redis, ns: str, refund_id: str) -> bool:
    """Whether a cell has, or had, a refund with this id, or has such a letter."""
    with client.pipeline(transaction=False) as pipe:
        pipe.exists(f"{ns}:refund:{refund_id}")
        pipe.hexists(f"{ns}:quarantine", refund_id)
        return any(pipe.execute())


def has_queued(client: redis.Redis, ns: str, refund_id: str) -> bool:
    """Whether the job of a refund is in the queue of a cell."""
    return bool(client.hexists(f"{ns}:{INTAKE}.msgs", place_of(refund_id)))


def _has_order(client: redis.Redis, ns: str, order_id: str) -> bool:
    found: Any = client.zrangebylex(f"{ns}:orders", f"[{order_id}:", f"({order_id};", 0, 1)
    return bool(found)


def _has_job(client: redis.Redis, ns: str, job_id: str) -> bool:
    return bool(client.exists(f"{ns}:job:{job_id}"))
