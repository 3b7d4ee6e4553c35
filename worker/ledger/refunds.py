"""The ledger: all refunds in Redis, each with its append-only history. Every write is one script.

Keys, all with the hash tag `{namespace}`, so that one Redis Cluster slot holds them:

    {ns}:refund:ID          HASH  request, state, version, attempt, fence, ...
    {ns}:history:ID         LIST  JSON lines, oldest first, only ever appended
    {ns}:accepted           ZSET  refund id -> accepted at, unix ms
    {ns}:state:STATE        ZSET  refund id -> accepted at, unix ms
    {ns}:lane:STORE         ZSET  refund id -> number of arrival: waits for its turn
    {ns}:busy:STORE         ZSET  refund id -> since, unix ms: queued or held by a worker
    {ns}:busy_stores        SET   stores with somebody in busy
    {ns}:rate:STORE         STRING when its calls to Wix are paid off, unix ms (worker.ledger.lanes)
    {ns}:paced              ZSET  store over its rate -> when its lane goes on, unix ms
    {ns}:due                ZSET  refund id -> due at, unix ms: retries and waits
    {ns}:watch              ZSET  refund id -> next look, unix ms: finished, but may be reversed
    {ns}:dead               ZSET  refund id -> died at, unix ms
    {ns}:outcomes           STREAM CloudEvents for upstream (worker.refund.outcomes)
    {ns}:quarantine         HASH  message id -> JSON: messages that never became a refund
    {ns}:lease:STORE:ORDER  STRING "WORKER|MESSAGE|RUN": who is at this order
    {ns}:store:STORE, :suspended:STORE, ...: see worker.ledger.stores
    {ns}:fence, :arrivals   STRING counters;  {ns}:scheduler STRING the worker that leads
    queues: see worker/queue/queue.lua

A lease is good as long as its worker's heartbeat is fresh; its fencing token makes every write of
a worker that lost it fail.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator, Mapping
from typing import Any, Literal

import redis

from statemachine.flows import State, Transition
from statemachine.machine import sources
from worker.ledger.claims import Claim, StepCommit
from worker.ledger.lanes import LaneRules
from worker.ledger.scripts import load_scripts
from worker.observability.redaction import redact
from worker.queue.delivery import Delivery
from worker.refund.facts import Facts
from worker.refund.outcomes import about, outcome
from worker.refund.record import Refund, refund_from
from worker.refund.request import RefundRequest

#: A lease dies with its worker's heartbeat; this only frees one that its living worker forgot.
LEASE_CAP_MS = 300_000
#: How soon to look again at an order that another worker holds.
BUSY_MS = 500

#: Records that are read at once when listing.
PAGE = 500

#: When to look again at a finished refund whose message was lost.
WATCH_AGAIN_MS = 600_000

#: One file each, in lua/.
SCRIPTS = ("accept", "claim", "commit", "replay", "wake", "watched", "requeue", "audit")


class Ledger:
    """Reads and writes refunds. Raises redis.RedisError when the server does not answer."""

    def __init__(
        self, client: redis.Redis, *, namespace: str, lanes: LaneRules, worker_dead_after_ms: int
    ) -> None:
        self.ns = f"{{{namespace}}}"
        self._redis = client
        self._dead_after_ms = worker_dead_after_ms
        self._scripts = load_scripts(
            client,
            SCRIPTS,
            namespace=namespace,
            lanes=lanes,
        )

    def _run(self, script: str, **arguments: Any) -> Any:
        return self._scripts[script](
            keys=[self.ns], args=[json.dumps({"dead_after_ms": self._dead_after_ms, **arguments})]
        )

    def accept(
        self, request: RefundRequest, delivery: Delivery
    ) -> Literal["accepted", "duplicate", "conflict"]:
        """Write a job down as a refund, once; a second one is told apart by its content."""
        return self._run(  # type: ignore[no-any-return]  # one of the three words of accept.lua
            "accept",
            **delivery.fields(),
            refund_id=request.refund_id,
            store_id=request.store_id,
            order_id=request.order_id,
            request=request.canonical,
            digest=request.digest,
            history=_line({"event": "refund.accepted", "requested_by": request.requested_by}),
            outcome=outcome("accepted", "request_refund", **about(request)),
        )

    def claim(self, refund_id: str, transition: Transition, delivery: Delivery) -> Claim:
        """Load, guard, lease and announce in one round trip; asking again changes nothing."""
        verdict, now_ms, fence, sealed, epoch, gone, *flat = self._run(
            "claim",
            **delivery.fields(),
            refund_id=refund_id,
            token=delivery.token,
            sources={state.value: True for state in sources(transition)},
            mutates=transition in MUTATING,
            lease_cap_ms=LEASE_CAP_MS,
            busy_ms=BUSY_MS,
        )
        fields = dict(zip(flat[::2], flat[1::2], strict=True))
        if verdict == "claimed":
            fields["intent_at_ms"] = fields.get("prior_intent_at_ms", "0")
        refund = refund_from(fields) if fields else None
        return Claim(
            verdict,
            int(now_ms),
            int(fence),
            refund,
            sealed,
            int(epoch or 0),
            disconnected=bool(gone),
        )

    def commit(
        self, refund_id: str, claim: Claim, commit: StepCommit, delivery: Delivery
    ) -> Literal["", "committed", "suspended"]:
        """Write the result of a step; "" when the lease was lost and nothing was written.

        "suspended": it is this step that suspended its store.
        """
        verdict = self._run(
            "commit",
            **delivery.fields(),
            refund_id=refund_id,
            token=delivery.token,
            fence=str(claim.fence),
            state=commit.state.value,
            next=commit.next,
            due_in_ms=commit.due_in_ms,
            fields={name: str(value) for name, value in commit.fields.items()},
            history=[_line(line) for line in commit.history],
            wix_calls=commit.wix_calls,
            intent=commit.intent,
            uncounted=commit.uncounted,
            watch_in_ms=commit.watch_in_ms,
            worked=list(commit.accepted_endpoints),
            epoch=str(claim.epoch),
            **({"suspension": dict(commit.suspension)} if commit.suspension else {}),
            **({"outcome": dict(commit.outcome)} if commit.outcome else {}),
        )
        return "" if verdict == "stale" else verdict

    def still_holds(self, refund: Refund, delivery: Delivery) -> bool:
        """Ask the server whether this worker's lease of the order is still its own."""
        key = f"{self.ns}:lease:{refund.request.store_id}:{refund.request.order_id}"
        return bool(self._redis.get(key) == delivery.token)

    def watched(
        self,
        refund_id: str,
        delivery: Delivery,
        *,
        first_ms: int,
        for_ms: int,
        version: int = 0,
        change: Mapping[str, Any] | None = None,
        facts: Facts | None = None,
        outcome: Mapping[str, str] | None = None,
    ) -> None:
        """Write down a look at a finished refund, what had changed if anything, and the next.

        A *change* needs the *version* that was looked at: of any other, nothing is written.
        """
        changed = {"facts": facts.to_json(), "history": _line(change)} if facts and change else {}
        told = {"outcome": dict(outcome)} if outcome else {}
        self._run(
            "watched",
            **delivery.fields(),
            refund_id=refund_id,
            first_ms=first_ms,
            for_ms=for_ms,
            version=str(version),
            **changed,
            **told,
        )

    def replay(self, refund: Refund, facts: Facts, *, operator: str) -> bool:
        """Resume a dead letter where it stopped, with these facts.

        Returns False when it is no dead letter any more, or has changed since it was read.
        """
        return bool(
            self._run(
                "replay",
                refund_id=refund.refund_id,
                version=str(refund.version),
                nonce=uuid.uuid4().hex,
                facts=facts.to_json(),
                history=_line({"event": "refund.replayed", "operator": operator}),
                outcome=outcome("replayed", "replay", **about(refund.request), operator=operator),
            )
        )

    def wake_due(self, worker_id: str, *, lead_ms: int, limit: int = 200) -> tuple[bool, int]:
        """Wake what is due, if this worker leads: (leads, how many)."""
        leads, woken = self._run(
            "wake",
            worker_id=worker_id,
            lead_ms=lead_ms,
            limit=limit,
            watch_again_ms=WATCH_AGAIN_MS,
        )
        return bool(leads), int(woken)

    def requeue_lost(self) -> Iterator[str]:
        """Set going what nobody holds or will be told of; gives the ids, store by store."""
        stores: Any = self._redis.smembers(f"{self.ns}:busy_stores")
        listed = sorted(stores)
        for start in range(0, len(listed), PAGE):
            yield from self._run("requeue", stores=listed[start : start + PAGE])

    def count(self, state: State | None = None) -> int:
        """How many refunds are in this state; how many were ever accepted, when none is named."""
        return int(
            self._redis.zcard(f"{self.ns}:state:{state}" if state else f"{self.ns}:accepted")
        )

    def all_ids(self) -> Iterator[str]:
        """Every id that the ledger knows of, also where only a line still names it."""
        seen: set[str] = set()
        for name in ("accepted", "due", "dead"):
            for refund_id, _ in self._redis.zscan_iter(f"{self.ns}:{name}", count=PAGE):
                if refund_id not in seen:
                    seen.add(refund_id)
                    yield refund_id

    def misplaced(self, ids: list[str], *, repair: bool) -> list[tuple[str, str]]:
        """Of these ids, those that are not in exactly one place: (id, problem)."""
        flat = self._run("audit", ids=ids, repair=repair)
        return list(zip(flat[::2], flat[1::2], strict=True))

    def load(self, refund_id: str) -> Refund | None:
        """One record, None when the id is not known."""
        fields: Any = self._redis.hgetall(f"{self.ns}:refund:{refund_id}")
        return refund_from(fields) if fields else None

    def history(self, refund_id: str) -> list[dict[str, Any]]:
        """The history of one refund, oldest first; each line has `at_ms` and `event`."""
        return [json.loads(x) for x in self._redis.lrange(f"{self.ns}:history:{refund_id}", 0, -1)]

    def newest(
        self, *, state: State | None = None, store_id: str | None = None, limit: int
    ) -> Iterator[Refund]:
        """Records, newest first, at most *limit*, read page by page."""
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


#: A step of these may change something at Wix, so it announces itself.
MUTATING = frozenset(
    {
        Transition.UNFULFILL_ORDER,
        Transition.CANCEL_ORDER,
        Transition.SUBMIT_REFUND,
        Transition.VOID_PAYMENTS,
        Transition.RESTORE_FULFILLMENTS,
    }
)


def _line(line: Mapping[str, Any]) -> str:
    return json.dumps(redact(line), separators=(",", ":"), ensure_ascii=False)
