"""Keeps the lists for finding right, in small pieces: older versions do not know them."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

import redis

#: How many refunds one call of the script lists: some milliseconds of the server's time.
PIECE = 200
#: Pause after a pass over all dead letters, s: a worker of an older version may have changed some.
PASS_EVERY_S = 600.0
#: The version of the lists; with another one, all refunds are listed again.
VERSION = "1"


class Reindexing:
    """Goes through the ledger again and again. Raises redis.RedisError if the server is away."""

    def __init__(
        self,
        client: redis.Redis,
        ns: str,
        relist: Callable[[list[str]], object],
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self.ns = ns
        self._redis = client
        self._relist = relist
        self._monotonic = monotonic
        self._pass: Iterator[list[str]] | None = None
        self._next_pass_s = 0.0

    def turn(self) -> None:
        """List the next piece, if there is something to do."""
        if self._pass is None:
            if self._monotonic() < self._next_pass_s:
                return
            self._pass = self._pieces()
        ids = next(self._pass, None)
        if ids is None:
            self._pass = None
            self._next_pass_s = self._monotonic() + PASS_EVERY_S
        elif ids:
            self._relist(ids)

    def _pieces(self) -> Iterator[list[str]]:
        """Yield the dead letters, then what is listed as one, and once all other refunds."""
        yield from self._scan(f"{self.ns}:dead")
        groups: Any = self._redis.hkeys(f"{self.ns}:dead_groups:reason")
        for reason in groups:
            if "\x1f" not in reason:
                yield from self._scan(f"{self.ns}:dead_by:reason:{reason}")
        yield from self._scan(f"{self.ns}:failing")
        if self._redis.hget(f"{self.ns}:indexed", "version") == VERSION:
            return
        start: Any = self._redis.hget(f"{self.ns}:indexed", "cursor")
        for cursor, ids in self._scan_from(f"{self.ns}:accepted", int(start or 0)):
            yield ids
            self._redis.hset(f"{self.ns}:indexed", "cursor", cursor)
        self._redis.hset(f"{self.ns}:indexed", mapping={"version": VERSION, "cursor": 0})

    def _scan(self, name: str) -> Iterator[list[str]]:
        for _, ids in self._scan_from(name, 0):
            yield ids

    def _scan_from(self, name: str, cursor: int) -> Iterator[tuple[int, list[str]]]:
        while True:
            answer: Any = self._redis.zscan(name, cursor, count=PIECE)
            cursor = int(answer[0])
            yield cursor, [refund_id for refund_id, _ in answer[1]]
            if cursor == 0:
                return


def is_indexed(client: redis.Redis, namespace: str) -> bool:
    """Whether all refunds are in the lists."""
    return bool(client.hget(f"{{{namespace}}}:indexed", "version") == VERSION)
