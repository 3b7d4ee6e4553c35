"""Repairs the lists that searches use, some refunds at a time: older versions do not keep them."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

import redis

#: How many refunds one call of the script lists: some milliseconds of the server's time.
PIECE = 200
#: Pause after a pass over all dead letters, s: a worker of an older version may have changed some.
PASS_EVERY_S = 600.0
#: A refund may be listed so much later than it was accepted by the server's clock.
MARGIN_MS = 60_000
#: The version of the lists; with another one, all refunds are listed again.
VERSION = "3"


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
        clock: Any = self._redis.time()
        known: Any = self._redis.hgetall(f"{self.ns}:indexed")
        if known.get("version") == VERSION:
            # What workers of an older version accepted since.
            yield from self._accepted_since(int(known.get("since_ms") or 0) - MARGIN_MS)
        else:
            start = int(known["cursor"]) if known.get("pass") == VERSION else 0
            for cursor, ids in self._scan_from(f"{self.ns}:accepted", start):
                yield ids
                self._redis.hset(f"{self.ns}:indexed", mapping={"pass": VERSION, "cursor": cursor})
        self._redis.hset(
            f"{self.ns}:indexed",
            mapping={"version": VERSION, "cursor": 0, "since_ms": clock[0] * 1000},
        )

    def _accepted_since(self, at_ms: float) -> Iterator[list[str]]:
        """Yield what was accepted from then on, in pieces; many may have the same time."""
        same = 0
        while True:
            rows: Any = self._redis.zrangebyscore(
                f"{self.ns}:accepted", at_ms, "+inf", start=same, num=PIECE, withscores=True
            )
            if not rows:
                return
            yield [refund_id for refund_id, _ in rows]
            last = rows[-1][1]
            same = sum(score == last for _, score in rows) + (same if last == at_ms else 0)
            at_ms = last

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
