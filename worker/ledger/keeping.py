"""Reads finished refunds that have been kept long enough, and forgets them (`lua/forget.lua`)."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import redis

from statemachine.flows import TERMINAL
from worker.ledger.audit_log import Act
from worker.refund.packing import unpack
from worker.refund.record import Refund, refund_from
from worker.refund.tombstone import DIGEST, LETTERS, tombstone_of

#: How many refunds one call of the script forgets: some milliseconds of the server's time.
PIECE = 50
#: How many entries of a consumer group are looked at.
MOST_PENDING = 100
#: The states in which a refund may be forgotten.
STATES = tuple(sorted(TERMINAL & set(LETTERS)))


@dataclass(frozen=True, kw_only=True)
class Finished:
    """A finished refund, complete: what the archive keeps of it."""

    refund: Refund
    ended_at_ms: int
    """When it ended, unix ms by the server's time."""
    fields: dict[str, str]
    """The record as it is in Redis."""
    history: list[str]
    """The lines of its history (JSON), oldest first."""
    listed: int
    """How many of these lines are not packed."""

    @property
    def is_recognised(self) -> bool:
        """Whether its digest is that of the job.

        An older version masked texts of a job after it had hashed it, or before: then only the
        whole record tells whether a job is a repeat (`Records.masked_digest`).
        """
        return "schema" in self.fields or self.fields["digest"] == self.refund.request.digest


class Keeping:
    """Reads and forgets finished refunds. Raises redis.RedisError if the server is away."""

    def __init__(self, client: redis.Redis, ns: str, run: Callable[..., Any]) -> None:
        self._redis = client
        self._run = run
        """Runs a script of the ledger by its name."""
        self._ns = ns

    def told(self) -> dict[str, str]:
        """Return what the ledger remembers of the keeping: see worker/ledger/README.md."""
        found: Any = self._redis.hgetall(f"{self._ns}:keeping")
        return dict(found)

    def forgotten(self) -> int:
        """Count the refunds that are forgotten."""
        return int(self.told().get("forgotten", 0))

    def tell(self, *, at_ms: int, problem: str) -> None:
        """Remember what the last run found; *problem* is "" if it found none."""
        self._redis.hset(f"{self._ns}:keeping", mapping={"at_ms": at_ms, "problem": problem})

    def claim_archive(self, archive_id: str) -> str:
        """Make this the archive of the ledger if it has none; return the one that it has."""
        self._redis.hsetnx(f"{self._ns}:keeping", "archive", archive_id)
        return str(self._redis.hget(f"{self._ns}:keeping", "archive"))

    def adopt_archive(self, archive_id: str, act: Act) -> None:
        """Make this the archive of the ledger, in the place of the one that it had."""
        self._run("adopt_archive", act, archive=archive_id)

    def installation(self) -> str:
        """Return the id of the ledger, "" if no worker has started with it yet."""
        return str(self._redis.hget(f"{self._ns}:installation", "id") or "")

    def is_ours(self, installation: str | None) -> bool:
        """Whether this is the ledger's id, or that of one which it has replaced."""
        known: Any = self._redis.hmget(f"{self._ns}:installation", "id", f"replaces:{installation}")
        return bool(installation and installation == known[0]) or known[1] is not None

    def clock(self) -> tuple[int, int]:
        """Return the server's time, and by how much it is ahead of the ledger's clock; ms."""
        with self._redis.pipeline(transaction=False) as pipe:
            pipe.time()
            pipe.hget(f"{self._ns}:clock", "offset_ms")
            (seconds, micros), offset = pipe.execute()
        return seconds * 1000 + micros // 1000, -int(offset or 0)

    def older_workers(self, dead_after_ms: int) -> list[str]:
        """Return the living workers of a version that does not know tombstones."""
        wall_ms, shift_ms = self.clock()
        since = wall_ms - shift_ms - dead_after_ms
        alive: Any = self._redis.zrangebyscore(f"{self._ns}:workers", f"({since}", "+inf")
        with self._redis.pipeline(transaction=False) as pipe:
            for worker_id in alive:
                pipe.hget(f"{self._ns}:worker:{worker_id}", "version")
            versions = pipe.execute()
        return [worker for worker, known in zip(alive, versions, strict=True) if not known]

    def accepted_before(self, state: str, at_ms: int, *, skip: int, limit: int) -> list[str]:
        """Return ids of a state in the order in which they were accepted, after *skip* others.

        A refund ends after it was accepted, so these are all that can have ended before *at_ms*.
        """
        rows: Any = self._redis.zrange(
            f"{self._ns}:state:{state}", skip, skip + limit - 1, withscores=True
        )
        return [refund_id for refund_id, accepted_at in rows if accepted_at < at_ms]

    def count_left(self, state: str, ids: Iterable[str]) -> int:
        """Count those of the ids that are still in this state."""
        with self._redis.pipeline(transaction=False) as pipe:
            for refund_id in ids:
                pipe.zscore(f"{self._ns}:state:{state}", refund_id)
            return sum(score is not None for score in pipe.execute())

    def count_before(self, at_ms: int) -> int:
        """Count the finished refunds that were accepted before this time."""
        with self._redis.pipeline(transaction=False) as pipe:
            for state in STATES:
                pipe.zcount(f"{self._ns}:state:{state}", "-inf", f"({at_ms}")
            return sum(pipe.execute())

    def read(self, ids: Iterable[str]) -> list[Finished]:
        """Read finished refunds, complete, without those that are not there any more."""
        _, shift_ms = self.clock()
        with self._redis.pipeline(transaction=False) as pipe:
            for refund_id in ids:
                pipe.hgetall(f"{self._ns}:refund:{refund_id}")
                pipe.lrange(f"{self._ns}:history:{refund_id}", 0, -1)
            flat = pipe.execute()
        found = []
        for fields, lines in zip(flat[::2], flat[1::2], strict=True):
            # What is damaged stays where it is.
            with suppress(ValueError, KeyError, ArithmeticError):
                if fields.get("state") in STATES:
                    found.append(_finished(fields, lines, shift_ms))
        return found

    def due(self, found: list[Finished]) -> list[Finished]:
        """Return those that nothing needs any more; changes nothing."""
        answers = self._forget(found, only_look=True)
        return [one for one, answer in zip(found, answers, strict=True) if answer == "due"]

    def forget(self, found: list[Finished]) -> int:
        """Replace records by tombstones, if they are as they were read; return how many were.

        Only what is in the archive may be forgotten.
        """
        return self._forget(found, only_look=False).count("forgotten")

    def trim_outcomes(self, *, keep_ms: int, limit: int) -> tuple[int, dict[str, int]]:
        """Trim outcomes that are older; return how many, and the groups that need old ones.

        A group is mapped to the time of the first old outcome that it needs, unix ms.
        """
        trimmed, *flat = self._run(
            "trim_outcomes", keep_ms=keep_ms, limit=limit, pending=MOST_PENDING
        )
        behind = {name: int(ms) for name, ms in zip(flat[::2], flat[1::2], strict=True)}
        self._redis.hset(f"{self._ns}:keeping", "unread", json.dumps(behind))
        return int(trimmed), behind

    def _forget(self, found: list[Finished], *, only_look: bool) -> list[str]:
        answers: list[str] = []
        for start in range(0, len(found), PIECE):
            piece = [_argument(one) for one in found[start : start + PIECE]]
            states = dict.fromkeys(STATES, True)
            answers += self._run("forget", refunds=piece, states=states, only_look=only_look)
        return answers


def _finished(fields: dict[str, str], lines: list[str], shift_ms: int) -> Finished:
    refund = refund_from(fields)
    return Finished(
        refund=refund,
        ended_at_ms=refund.updated_at_ms + shift_ms,
        fields=fields,
        history=[*unpack(fields.get("packed", "")), *lines],
        listed=len(lines),
    )


def _argument(one: Finished) -> dict[str, Any]:
    return {
        "refund_id": one.refund.refund_id,
        "version": one.fields["version"],
        "lines": one.listed,
        "digest": one.fields["digest"][:DIGEST],
        "tombstone": tombstone_of(one.refund, one.ended_at_ms).text(),
    }
