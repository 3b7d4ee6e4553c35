"""The clients of the cells, opened when they are first needed."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import redis

from worker.cells.names import namespace_of
from worker.ledger.connection import TRIES, redis_client

#: How long a cell that did not answer is not asked what can be done without it.
AWAY_S = 30.0


class Clients:
    """One client for each cell. A thread that talks to one cell at a time uses one connection."""

    def __init__(
        self, url: str, front: str, known: Mapping[str, redis.Redis], *, tries: int = TRIES
    ) -> None:
        self.front = front
        """The namespace of the front."""
        self._url = url
        self._tries = tries
        self._lock = threading.Lock()
        self._clients = dict(known)
        self._own: list[redis.Redis] = []
        self._away_until: dict[str, float] = {}
        self._hangs_until: dict[str, float] = {}

    def of(self, cell: str) -> redis.Redis:
        """Return the client of a cell."""
        with self._lock:
            if cell not in self._clients:
                namespace = namespace_of(self.front, cell)
                opened = redis_client(self._url, namespace=namespace, tries=self._tries)
                self._clients[cell] = opened
                self._own.append(opened)
            return self._clients[cell]

    def ns(self, cell: str) -> str:
        """Return how the keys of a cell begin."""
        return f"{{{namespace_of(self.front, cell)}}}"

    def is_away(self, cell: str) -> bool:
        """Whether a cell has not answered a moment ago."""
        return time.monotonic() < self._away_until.get(cell, 0.0)

    def hanging(self) -> set[str]:
        """Return the cells that have let somebody wait in vain a moment ago."""
        now_s = time.monotonic()
        return {cell for cell, until_s in list(self._hangs_until.items()) if now_s < until_s}

    @contextmanager
    def watched(self, cell: str) -> Iterator[None]:
        """Note it if the cell does not answer."""
        try:
            yield
        except redis.RedisError as error:
            self._away_until[cell] = until_s = time.monotonic() + AWAY_S
            if isinstance(error, redis.TimeoutError):
                self._hangs_until[cell] = until_s
            raise

    def close(self) -> None:
        """Close those that were opened here."""
        with self._lock:
            for opened in self._own:
                opened.close()
