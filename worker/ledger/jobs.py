"""Bulk acts: a frozen selection, done item by item by the workers, each item once.

`lua/acts.lua` takes an item off its list in the same write that does it.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Any, Literal, NamedTuple

import redis

from worker.ledger.audit_log import Act
from worker.ledger.lanes import LaneRules
from worker.ledger.records import PAGE
from worker.ledger.refunds import Ledger
from worker.ledger.scripts import load_scripts

#: One file each, in lua/.
SCRIPTS = ("job_add", "job_set", "job_due", "job_refuse", "job_forget")
#: How long a selection waits for a confirmation.
UNCONFIRMED_S = 86_400
#: Maximum number of items that are handed out at once.
AT_ONCE = 50

State = Literal["frozen", "running", "waiting", "stopped", "done"]

#: From which states a command leads to which.
STEPS: Mapping[str, tuple[tuple[State, ...], State]] = {
    "start": (("frozen",), "running"),
    "stop": (("running", "waiting"), "stopped"),
    "continue": (("waiting", "stopped"), "running"),
}


@dataclass(frozen=True, kw_only=True)
class Order:
    """What a bulk act is to do."""

    act: str
    """The name of the act, as in the audit log."""
    arguments: Mapping[str, Any]
    by: str
    why: str
    selection: str
    rate: float
    """Items per second."""
    canary: int
    """After how many items it waits for `continue`; 0 for none."""


@dataclass(frozen=True, kw_only=True)
class Job:
    """A bulk act as it is at one moment."""

    id: str
    order: Order
    state: State
    total: int
    done: int
    refused: int
    amounts: Mapping[str, Any]
    """Sums per currency, and the number of unknown amounts, as they were selected."""
    created_at_ms: int
    started_at_ms: int
    ended_at_ms: int

    @property
    def left(self) -> int:
        """How many items are still to be done."""
        return self.total - self.done - self.refused

    def public(self) -> dict[str, Any]:
        """Return it for people and programs."""
        order = self.order
        return {
            "job_id": self.id,
            "act": order.act,
            "arguments": dict(order.arguments),
            "state": self.state,
            "total": self.total,
            "done": self.done,
            "refused": self.refused,
            "left": self.left,
            "amounts": dict(self.amounts),
            "by": order.by,
            "reason": order.why,
            "selection": order.selection,
            "rate": order.rate,
            "canary": order.canary,
            "created_at_ms": self.created_at_ms,
            "started_at_ms": self.started_at_ms or None,
            "ended_at_ms": self.ended_at_ms or None,
        }


class Due(NamedTuple):
    """An item that is to be done now."""

    job_id: str
    id: str
    version: int | None


class Jobs:
    """Reads and writes bulk acts. Raises redis.RedisError when the server does not answer."""

    def __init__(
        self, client: redis.Redis, ledger: Ledger, *, namespace: str, lanes: LaneRules
    ) -> None:
        self.ns = f"{{{namespace}}}"
        self._redis = client
        self._ledger = ledger
        self._scripts = load_scripts(client, SCRIPTS, namespace=namespace, lanes=lanes)

    def _run(self, script: str, act: Act | None = None, /, **arguments: Any) -> Any:
        given = dict(arguments)
        if self._ledger.installation:
            given["installation"] = self._ledger.installation
        return self._ledger.audit_log.call(self._scripts[script], given, act)

    def freeze(self, order: Order, items: Iterable[tuple[str, Mapping[str, Any]]]) -> str:
        """Keep a selection, (id, item), that nobody has confirmed; returns the id of the job."""
        job_id = f"job-{uuid.uuid4().hex[:12]}"
        fields = {
            "act": order.act,
            "arguments": json.dumps(dict(order.arguments)),
            "by": order.by,
            "why": order.why,
            "selection": order.selection,
            "rate": str(order.rate),
            "canary": str(order.canary),
            "canary_left": str(order.canary),
        }
        pages, first = iter(items), 0
        while True:
            page = list(islice(pages, PAGE))
            if not page and first:
                return job_id
            flat = [text for item_id, item in page for text in (item_id, json.dumps(dict(item)))]
            self._run(
                "job_add",
                job=job_id,
                fields=fields,
                items=flat,
                first=first,
                expire_s=UNCONFIRMED_S,
            )
            first += len(page)
            if not page:
                return job_id

    def set_amounts(self, job_id: str, amounts: Mapping[str, Any]) -> None:
        """Keep what is at stake, once all is selected."""
        self._redis.hset(f"{self.ns}:job:{job_id}", "amounts", json.dumps(dict(amounts)))

    def step(self, job_id: str, step: str, act: Act) -> tuple[bool, str]:
        """Start, stop or continue; returns whether it did, and the state that the job has.

        The state is "" if there is no such job: somebody else has decided not to start it.
        """
        before, to = STEPS[step]
        did, state = self._run(
            "job_set", act, job=job_id, to=to, **{"from": dict.fromkeys(before, True)}
        )
        return bool(did), str(state)

    def due(self) -> list[Due]:
        """Hand out the items that are to be done now."""
        flat = self._run("job_due", limit=AT_ONCE)
        triples = zip(flat[::3], flat[1::3], flat[2::3], strict=True)
        return [Due(job, item, json.loads(text).get("version")) for job, item, text in triples]

    def refuse(self, job_id: str, item_id: str, text: str) -> None:
        """Record why an item was refused."""
        self._run("job_refuse", job=job_id, id=item_id, text=text)

    def forget(self, job_id: str) -> str:
        """Delete a selection that somebody decided not to start.

        Returns "" if it is gone, else the state that it has: somebody else has started it.
        """
        return str(self._run("job_forget", job=job_id))

    def find(self, job_id: str) -> Job | None:
        """Return one bulk act, None if there is none."""
        if ":" in job_id:  # another key of the job, not the id of one
            return None
        fields: Any = self._redis.hgetall(f"{self.ns}:job:{job_id}")
        return _job(job_id, fields) if fields else None

    def newest(self, limit: int) -> list[Job]:
        """Return the bulk acts, newest first."""
        ids: Any = self._redis.zrevrange(f"{self.ns}:jobs", 0, limit - 1)
        found = (self.find(job_id) for job_id in ids)
        return [job for job in found if job]

    def items(self, job_id: str) -> Iterator[tuple[str, dict[str, Any]]]:
        """Yield the items and their results; read page by page, in no order."""
        key = f"{self.ns}:job:{job_id}:items"
        seen: set[str] = set()
        for item_id, text in self._redis.hscan_iter(key, count=PAGE):
            if item_id not in seen:
                seen.add(item_id)
                yield item_id, json.loads(text)


def _job(job_id: str, fields: Mapping[str, str]) -> Job:
    order = Order(
        act=fields["act"],
        arguments=json.loads(fields["arguments"]),
        by=fields["by"],
        why=fields["why"],
        selection=fields["selection"],
        rate=float(fields["rate"]),
        canary=int(fields["canary"]),
    )
    return Job(
        id=job_id,
        order=order,
        state=fields["state"],  # type: ignore[arg-type]  # only job_set.lua and acts.lua write it
        total=int(fields["total"]),
        done=int(fields["done"]),
        refused=int(fields["refused"]),
        amounts=json.loads(fields.get("amounts", "{}")),
        created_at_ms=int(fields["created_at_ms"]),
        started_at_ms=int(fields.get("started_at_ms", 0)),
        ended_at_ms=int(fields.get("ended_at_ms", 0)),
    )
