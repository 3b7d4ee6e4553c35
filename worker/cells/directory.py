"""Where each store is: the directory, at the front.

The keys are listed in worker/ledger/README.md. A store that has a cell never moves, so an entry
never changes. What must not happen is that a store gets a second cell, even if the front forgets
its last second. So a cell records in its own ledger that a store lives there before it accepts the
first job, and a store that the directory does not know is looked for in all cells. Should the cell
have forgotten it, too, the store may get another one: that changes nothing at Wix for a while.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import redis

from worker.cells.choosing import choose
from worker.cells.clients import Clients
from worker.cells.names import FRONT, all_cells
from worker.cells.placing import Growth, Home, Placing
from worker.errors import StoreInTwoCells
from worker.ledger.durability import is_confirmed
from worker.observability.events import log_event

#: How many stores are looked at with one command.
PAGE = 500


class Directory:
    """The cells of stores.

    Its methods raise redis.RedisError if a server does not answer: nothing is guessed.
    """

    def __init__(
        self, clients: Clients, *, count: int, settle_delay_ms: int, wait_replicas: int = 0
    ) -> None:
        self._clients = clients
        self._placing = Placing(clients, settle_delay_ms=settle_delay_ms)
        self._count = count
        self._wait_replicas = wait_replicas
        self._front = clients.of(FRONT)
        self.ns = clients.ns(FRONT)

    def grow(self) -> int:
        """Record how many cells there are, unless more are known; return how many there are.

        From then on a worker that knows of no cells accepts no job (accept.lua).
        """
        return self._placing.grow(FRONT, self._count).cells

    def _grow_everywhere(self) -> Growth:
        """Let each cell know, too, how many there are: the front may have forgotten it."""
        grow, count = self._placing.grow, self._count
        while True:
            front = grow(FRONT, count)
            cells = [grow(cell, front.cells) for cell in all_cells(front.cells)[1:]]
            # Its stores may have calls under way; an adoption is a loss of writes, too.
            if not front.is_installed and any(cell.is_installed for cell in cells):
                raise redis.ConnectionError("the front was emptied, or no worker has started there")
            count = max(one.cells for one in (front, *cells))
            if count == front.cells:
                return front

    def count(self) -> int:
        """Return how many cells there are: as many as are recorded, or as the settings say."""
        recorded: Any = self._front.hget(f"{self.ns}:installation", "cells")
        return max(self._count, int(recorded or 1))

    def known(self, store_id: str) -> str | None:
        """Return the cell of a store, None if the directory does not know the store."""
        found: Any = self._front.hget(f"{self.ns}:homes", store_id)
        return found or None

    def all_known(self, store_ids: Iterable[str]) -> dict[str, str]:
        """Return the cells of those of these stores that the directory knows."""
        ids = list(store_ids)
        found: Any = self._front.hmget(f"{self.ns}:homes", ids) if ids else []
        return {store_id: home for store_id, home in zip(ids, found, strict=True) if home}

    def home(self, store_id: str) -> str:
        """Return the cell of a store; one that has none gets one.

        Raises:
            StoreInTwoCells: the directory does not know the store, and several cells do.
        """
        return self.look(store_id).cell

    def look(self, store_id: str) -> Home:
        """Return the home of a store, and how it moves in there.

        Raises:
            StoreInTwoCells: see `home`.
        """
        home = self._placing.look(store_id)
        return home if home.cell else self._place(store_id)

    def _place(self, store_id: str) -> Home:
        while True:
            asked = self._grow_everywhere()
            cell = self.evidence(store_id, all_cells(asked.cells)) or choose(store_id, asked.cells)
            home = self._placing.place(store_id, cell, asked)
            if home.cell:
                self._confirm()
                return home

    def _confirm(self) -> None:
        """Make sure that the front is no old primary, which still answers beside the new one."""
        if not is_confirmed(self._front, f"{self.ns}:confirmations", self._wait_replicas):
            raise redis.ConnectionError("too few replicas have the cell of a store")

    def settle(self, store_id: str) -> str:
        """Return the cell of a store, and let this cell itself know it from now on.

        The cell keeps the store among its newcomers while the directory is asked again: if that had
        lost the store, whoever placed it anew in the meantime did so before the cell knew it, and
        then the directory decides. Only then it is a resident, whose jobs the cell accepts.

        Raises:
            StoreInTwoCells: see `home`.
        """
        cell = self.home(store_id)
        while cell != FRONT and not self.living_in(cell, [store_id]):
            announced = self._placing.announce(cell, store_id)
            now = self.look(store_id)
            if now.cell == cell:
                self._confirm()
                if self._placing.move_in(now, store_id, announced):
                    _log_held_back(now, store_id)
                    break
            else:
                self._placing.retract(cell, store_id)
                cell = now.cell
        return cell

    def evidence(self, store_id: str, cells: Iterable[str]) -> str | None:
        """Return the cell that knows a store; of several, the one that has its refunds.

        Raises:
            StoreInTwoCells: several have its refunds, or none has and several expect some.
        """
        found = {cell: self._traces(store_id, cell) for cell in cells}
        for wanted in (_WORK, _NEW, _KEY):
            with_it = [cell for cell, traces in found.items() if traces >= wanted]
            if len(with_it) > 1:
                raise StoreInTwoCells(store_id, with_it)
            if with_it:
                return with_it[0]
        return None

    def _traces(self, store_id: str, cell: str) -> int:
        """Return what a cell has of a store."""
        ns, client = self._clients.ns(cell), self._clients.of(cell)
        with self._clients.watched(cell), client.pipeline(transaction=True) as pipe:
            pipe.sismember(f"{ns}:residents", store_id)
            pipe.exists(*(f"{ns}:{name}:{store_id}" for name in ("of_store", "lane", "busy")))
            pipe.exists(*(f"{ns}:{name}:{store_id}" for name in ("store", "suspended", "worked")))
            pipe.sismember(f"{ns}:newcomers", store_id)
            is_resident, work, key, is_new = pipe.execute()
        return _WORK if is_resident or work else _NEW if is_new else _KEY if key else 0

    def living_in(self, cell: str, store_ids: Iterable[str]) -> set[str]:
        """Return which of these stores a cell itself knows to be there."""
        ids = list(store_ids)
        if not ids:
            return set()
        ns = self._clients.ns(cell)
        found: Any = self._clients.of(cell).smismember(f"{ns}:residents", ids)
        return {store_id for store_id, is_there in zip(ids, found, strict=True) if is_there}

    def strays(self, cell: str) -> Iterator[tuple[str, str]]:
        """Yield the stores of a cell that are in another one by the directory, with that cell."""
        ns, cursor = self._clients.ns(cell), 0
        while True:
            answer: Any = self._clients.of(cell).sscan(f"{ns}:residents", cursor, count=PAGE)
            cursor, ids = answer
            homes: Any = self._front.hmget(f"{self.ns}:homes", ids) if ids else []
            for store_id, home in zip(ids, homes, strict=True):
                if home not in (None, cell):
                    yield store_id, home
            if not cursor:
                return


def _log_held_back(home: Home, store_id: str) -> None:
    if home.hold_ms:
        log_event("store.cell_held_back", store_id=store_id, cell=home.cell, in_ms=home.hold_ms)


#: What a cell has of a store: its refunds, the intention to accept some, or its key alone.
_WORK, _NEW, _KEY = 3, 2, 1
