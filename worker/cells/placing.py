"""How a store gets a cell: what is written at the front and in the cell, each in one script."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, NamedTuple

from worker.cells.clients import Clients
from worker.cells.names import FRONT, namespace_of
from worker.ledger.lanes import LaneRules
from worker.ledger.scripts import load_scripts

if TYPE_CHECKING:
    from redis.commands.core import Script

_SCRIPTS = ("grow", "home", "announce", "move_in")


class Growth(NamedTuple):
    """What a ledger knows of the number of cells."""

    cells: int
    lost_at_ms: int
    """When its server is known to have lost writes, by its clock; 0 for never."""
    is_installed: int = 0
    """Whether a worker has made the ledger an installation."""


class Home(NamedTuple):
    """Where a store lives."""

    cell: str
    """"" if it lives nowhere yet."""
    hold_ms: int
    """How long nothing must be changed at Wix in a cell into which the store moves now."""


class Placing:
    """The scripts. Raises redis.RedisError if a server does not answer."""

    def __init__(self, clients: Clients, *, settle_delay_ms: int) -> None:
        self._clients = clients
        self._settle_delay_ms = settle_delay_ms
        #: By cell.
        self._scripts: dict[str, dict[str, Script]] = {}

    def grow(self, cell: str, count: int) -> Growth:
        """Record how many cells there are, unless the ledger knows of more."""
        return Growth(*self._run("grow", cell, count=count))

    def look(self, store_id: str) -> Home:
        """Return where a store lives, by the directory."""
        return self.place(store_id, "", Growth(0, 0))

    def place(self, store_id: str, cell: str, asked: Growth) -> Home:
        """Let a store that has none get this cell; with "" it gets none.

        Nor does it if the front has lost writes or more cells were added since *asked*, what the
        front said before the cells were asked about the store.
        """
        given = {"store_id": store_id, "cell": cell, "settle_delay_ms": self._settle_delay_ms}
        given |= {"cells": asked.cells, "lost_at_ms": asked.lost_at_ms}
        return Home(*self._run("home", FRONT, **given))

    def announce(self, cell: str, store_id: str) -> int:
        """Let a cell know that a store may move in; return what `move_in` must be told."""
        return int(self._run("announce", cell, store_id=store_id))

    def move_in(self, home: Home, store_id: str, announced: int) -> bool:
        """Let a store live in its cell, before anything of the store is there.

        Return whether it does. If not, the server may have forgotten that it was announced.
        """
        given = {"lost_at_ms": announced, "hold_ms": home.hold_ms, "store_id": store_id}
        given["settle_delay_ms"] = self._settle_delay_ms
        return bool(self._run("move_in", home.cell, **given))

    def retract(self, cell: str, store_id: str) -> None:
        """A store that was announced does not move in."""
        self._clients.of(cell).srem(f"{self._clients.ns(cell)}:newcomers", store_id)

    def _run(self, name: str, cell: str, /, **given: Any) -> Any:
        if cell not in self._scripts:
            namespace = namespace_of(self._clients.front, cell)
            # The scripts use no lane.
            self._scripts[cell] = load_scripts(
                self._clients.of(cell), _SCRIPTS, namespace=namespace, lanes=LaneRules(1)
            )
        with self._clients.watched(cell):
            return self._scripts[cell][name](
                keys=[self._clients.ns(cell)], args=[json.dumps(given)]
            )
