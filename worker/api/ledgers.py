"""The ledgers behind the API: one, or that of each cell."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

import redis

from worker.cells.finding import Finder
from worker.cells.names import FRONT
from worker.errors import StoreInTwoCells
from worker.ledger.refunds import Ledger
from worker.ledger.search import Search


class Place(NamedTuple):
    """A ledger, what searches it, and the client of its server."""

    ledger: Ledger
    search: Search
    client: redis.Redis


class Ledgers:
    """Finds the ledger of a store or a refund. Its methods may raise redis.RedisError."""

    def __init__(
        self, connect: Callable[[str], Place], finder: Callable[[], Finder] | None
    ) -> None:
        self._connect = connect
        #: Looks for cells; None where there is one ledger.
        self._finder = finder
        self._places = {FRONT: connect(FRONT)}

    @property
    def front(self) -> Place:
        """The only ledger, or that of the front."""
        return self._places[FRONT]

    def home(self, store_id: str, refund_id: str) -> Ledger | None:
        """Return the ledger that accepts a job, None if another one has a refund with its id."""
        if self._finder is None:
            return self.front.ledger
        try:
            home = self._finder().home_of_job(store_id, refund_id)
            return self._at(home).ledger if home else None
        except StoreInTwoCells as error:
            raise redis.ResponseError(str(error)) from None

    def with_refund(self, refund_id: str) -> list[Ledger]:
        """Return the ledgers that have a refund: there may be one in several cells."""
        if self._finder is None:
            return [self.front.ledger]
        return [self._at(cell).ledger for cell in self._finder().of_refund(refund_id)]

    def all(self) -> Iterator[Place]:
        """Yield each ledger."""
        for cell in [FRONT] if self._finder is None else self._finder().cells:
            yield self._at(cell)

    def _at(self, cell: str) -> Place:
        if cell not in self._places:
            self._places[cell] = self._connect(cell)
        return self._places[cell]
