"""The clients of the cells, opened when they are first needed."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import redis

from worker.cells.names import namespace_of
from worker.ledger.connection import TRIES, redis_client

#: How long a cell that did not answer is not asked what can be done without it.
AWAY_S = 30.0
#: How long it may take to answer when it is asked again: somebody waits meanwhile.
LOOK_S = 1.0


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
        is_away = time.monotonic() < self._away_until.get(cell, 0.0)
        return is_away or cell in self.hanging()

    def hanging(self) -> set[str]:
        """Return the cells that have let somebody wait in vain, and have not answered since."""
        now_s = time.monotonic()
        due = [cell for cell, until_s in list(self._hangs_until.items()) if now_s >= until_s]
        if due:
            # At the same time: one server that hangs may have many cells.
            with ThreadPoolExecutor(len(due)) as threads:
                list(threads.map(self._look_again, due))
        return set(self._hangs_until)

    def _look_again(self, cell: str) -> None:
        """Ask a cell that hung, for a moment only, before somebody waits for it again."""
        # Other threads do not ask it meanwhile.
        self._hangs_until[cell] = time.monotonic() + AWAY_S
        namespace = namespace_of(self.front, cell)
        try:
            with redis_client(self._url, namespace=namespace, tries=1, timeout_s=LOOK_S) as client:
                client.exists(f"{self.ns(cell)}:installation")
        except redis.RedisError:
            return
        self._hangs_until.pop(cell, None)

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
