"""A worker of each cell, on one plain server."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import redis

from tests.support.failovers import tick
from tests.support.rig import AFTER, KEY, STORE_ID, Rig, settings_for
from worker.cells.choosing import choose
from worker.cells.directory import Directory
from worker.cells.names import FRONT, all_cells
from worker.cells.routing import directory_from
from worker.cells.settings import settings_of
from worker.refund.record import Refund
from worker.simulator import Simulator


class Cells:
    """The front and so many cells, which share one namespace and one Wix."""

    def __init__(
        self,
        redis_url: str,
        count: int = 3,
        *,
        namespace: str = "",
        watcher_url: str = "",
        more: Mapping[str, str] = MappingProxyType({}),
    ) -> None:
        """Make them; *watcher_url* is for what only the test itself does."""
        given = settings_for(redis_url, **more)
        update = {"cells": count} | ({"namespace": namespace} if namespace else {})
        self.settings = given.model_copy(update=update)
        self.simulator = Simulator()
        self.rigs = {
            cell: Rig(settings_of(self.settings, cell, count), self.simulator)
            for cell in all_cells(count)
        }
        for rig in self.rigs.values() if watcher_url else ():
            rig.redis.close()
            rig.redis = redis.Redis.from_url(watcher_url, decode_responses=True)
        self.front = self.rigs[FRONT]
        self.clients, self.directory = directory_from(self.settings, {})

    def directory_of(self, count: int) -> Directory:
        """Return the directory as a worker with another REFUNDS_CELLS sees it."""
        delay_ms = self.settings.settle_delay_ms
        return Directory(self.clients, count=count, settle_delay_ms=delay_ms)

    def vouch(self) -> None:
        """Let the ledgers of the cells tick, and their workers vouch in them."""
        for rig in self.rigs.values():
            tick(rig)
            rig.broker.beat()

    def move_in(self, cell: str, store_id: str) -> None:
        """Let a store live in a cell, whatever the directory says."""
        self.rigs[cell].redis.sadd(self.rigs[cell].key("residents"), store_id)

    def request(self, store_id: str = STORE_ID, refund_id: str = "", **more: Any) -> str:
        """Put a job for a new order on the queue of the front, as every producer does."""
        if store_id not in self.simulator.stores:
            self.simulator.add_store(store_id, KEY)
        order = self.simulator.add_order(store_id, created_date=AFTER)
        return self.front.request(order, refund_id, store_id=store_id, **more)

    def run(self) -> None:
        """Handle everything that is queued, in all cells."""
        for _ in range(3):
            for rig in self.rigs.values():
                rig.run_until_idle()

    def where(self, refund_id: str) -> list[str]:
        """Return the cells that have a record of a refund."""
        return [cell for cell, rig in self.rigs.items() if rig.ledger.load(refund_id)]

    def load(self, refund_id: str) -> Refund:
        """Return a refund, which one cell has."""
        [cell] = self.where(refund_id)
        return self.rigs[cell].load(refund_id)

    def close(self) -> None:
        """Close all connections."""
        self.clients.close()
        for rig in self.rigs.values():
            rig.close()


def new_stores(count: int) -> list[str]:
    """Return the ids of stores that nobody knows."""
    return [str(uuid.uuid4()) for _ in range(count)]


def spread_stores() -> list[str]:
    """Return new stores: of each of three cells two that stay and two that a fourth would get."""
    kinds: dict[tuple[str, bool], list[str]] = {}
    for store_id in new_stores(600):
        kind = choose(store_id, 3), choose(store_id, 4) == "3"
        kinds.setdefault(kind, []).append(store_id)
    return [store_id for _, found in sorted(kinds.items()) for store_id in found[:2]]
