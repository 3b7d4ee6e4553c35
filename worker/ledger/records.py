"""Reads the records of refunds, without changing anything."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Any

import redis

from statemachine.flows import ACTIVE, State
from worker.refund.masked import is_masked_form
from worker.refund.packing import unpack
from worker.refund.record import Refund, is_whole, refund_from
from worker.refund.request import RefundRequest, stored_request
from worker.refund.tombstone import Tombstone, tombstone_from

#: Number of records that a listing reads at once.
PAGE = 500


class Records:
    """The refunds of one namespace. Raises redis.RedisError when the server does not answer."""

    def __init__(self, client: redis.Redis, namespace: str) -> None:
        self.ns = f"{{{namespace}}}"
        self._redis = client

    def count(self, state: State | None = None) -> int:
        """Count the refunds in this state, or all that are not forgotten."""
        return int(
            self._redis.zcard(f"{self.ns}:state:{state}" if state else f"{self.ns}:accepted")
        )

    def all_ids(self) -> Iterator[str]:
        """Yield each id that the ledger knows, even if only an index still has it."""
        seen: set[str] = set()
        for name in ("accepted", "due", "dead"):
            for refund_id, _ in self._redis.zscan_iter(f"{self.ns}:{name}", count=PAGE):
                if refund_id not in seen:
                    seen.add(refund_id)
                    yield refund_id

    def first_unfinished(self, limit: int) -> list[str]:
        """Return the ids of the oldest unfinished refunds, at most *limit* of each state."""
        found: list[str] = []
        for state in sorted(ACTIVE):
            ids: Any = self._redis.zrange(f"{self.ns}:state:{state}", 0, limit - 1)
            found += ids
        return found

    def unfinished_ids(self) -> Iterator[str]:
        """Yield the ids of all unfinished refunds, the oldest of each state first."""
        for state in sorted(ACTIVE):
            for start in itertools.count(0, PAGE):
                page: Any = self._redis.zrange(f"{self.ns}:state:{state}", start, start + PAGE - 1)
                yield from page
                if len(page) < PAGE:
                    break

    def list_as_busy(self, store_ids: Iterable[str]) -> None:
        """Let the next look for lost refunds look at these stores, and let them have turns."""
        self._redis.sadd(f"{self.ns}:busy_stores", *store_ids)

    def load(self, refund_id: str) -> Refund | None:
        """Return one record, None when the id is not known or the refund is forgotten."""
        fields: Any = self._redis.hgetall(f"{self.ns}:refund:{refund_id}")
        return refund_from(fields) if is_whole(fields) else None

    def knows(self, refund_id: str) -> bool:
        """Whether there is, or was, a refund with this id."""
        return bool(self._redis.exists(f"{self.ns}:refund:{refund_id}"))

    def tombstone(self, refund_id: str) -> Tombstone | None:
        """Return what is left of a forgotten refund, None if it is not forgotten."""
        fields: Any = self._redis.hgetall(f"{self.ns}:refund:{refund_id}")
        return tombstone_from(fields)

    def load_all(self, ids: Iterable[str]) -> list[Refund]:
        """Return these records, without those that are not known."""
        with self._redis.pipeline(transaction=False) as pipe:
            for refund_id in ids:
                pipe.hgetall(f"{self.ns}:refund:{refund_id}")
            return [refund_from(fields) for fields in pipe.execute() if is_whole(fields)]

    def load_pages(self, ids: Iterable[str]) -> Iterator[Refund]:
        """Yield these records, without those that are not known; they are read page by page."""
        left = iter(ids)
        while page := list(islice(left, PAGE)):
            yield from self.load_all(page)

    def now_ms(self) -> int:
        """Return the ledger's time, unix ms (worker/queue/clock.lua)."""
        clock: Any = self._redis.time()
        offset_ms: Any = self._redis.hget(f"{self.ns}:clock", "offset_ms")
        return int(clock[0]) * 1000 + int(clock[1]) // 1000 + int(offset_ms or 0)

    def masked_digest(self, request: RefundRequest) -> str:
        """Return the digest of this job's record if an older version masked the job; else ""."""
        name = f"{self.ns}:refund:{request.refund_id}"
        fields: Any = self._redis.hmget(name, "request", "digest", "schema")
        text, digest, schema = fields
        is_older = text and schema is None
        return str(digest) if is_older and is_masked_form(stored_request(text), request) else ""

    def waiting_orders(self, store_id: str, limit: int) -> list[str]:
        """Return the orders of a store's refunds that are to be assessed, in flight or waiting."""
        with self._redis.pipeline(transaction=False) as pipe:
            pipe.zrange(f"{self.ns}:busy:{store_id}", 0, limit - 1)
            pipe.zrange(f"{self.ns}:lane:{store_id}", 0, limit - 1)
            busy, lane = pipe.execute()
            for refund_id in (*busy, *lane):
                pipe.hmget(f"{self.ns}:refund:{refund_id}", "state", "order_id")
            return [order_id for state, order_id in pipe.execute() if state == State.ACCEPTED]

    def of_order(self, store_id: str, order_id: str) -> list[str]:
        """Return the ids of an order's refunds, sorted."""
        ids: Any = self._redis.smembers(f"{self.ns}:order:{store_id}:{order_id}")
        return sorted(ids)

    def history(self, refund_id: str) -> list[dict[str, Any]]:
        """Return the history of one refund, oldest first; each line has `at_ms` and `event`.

        A packed part that is damaged, or that a newer version packed, is one line that says so.
        """
        # In one transaction: packing moves lines from the list into the record.
        with self._redis.pipeline(transaction=True) as pipe:
            pipe.hget(f"{self.ns}:refund:{refund_id}", "packed")
            pipe.lrange(f"{self.ns}:history:{refund_id}", 0, -1)
            packed, lines = pipe.execute()
        try:
            before = [json.loads(line) for line in unpack(packed or "")]
        except ValueError as error:
            before = [{"at_ms": 0, "event": "history.unreadable", "error": str(error)}]
        return [*before, *map(json.loads, lines)]

    def newest(
        self, *, state: State | None = None, store_id: str | None = None, limit: int
    ) -> Iterator[Refund]:
        """Yield at most *limit* records, newest first; they are read page by page."""
        key = f"{self.ns}:state:{state}" if state else f"{self.ns}:accepted"
        found = 0
        for start in range(0, self._redis.zcard(key), PAGE):
            ids: Any = self._redis.zrevrange(key, start, start + PAGE - 1)
            for refund_id in ids:
                refund = self.load(refund_id)
                if refund and store_id in (None, refund.request.store_id):
                    found += 1
                    yield refund
                if found == limit:
                    return
