"""The ledger: all refunds in Redis, with their append-only history. Every write is one script."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Literal

import redis

from statemachine.flows import Transition
from statemachine.machine import sources
from worker.errors import OtherLedger
from worker.ledger.arguments import commit_arguments, history_line
from worker.ledger.audit_log import Act, AuditLog
from worker.ledger.circuit import Circuit
from worker.ledger.claims import Claim, Intent, StepCommit, Woken
from worker.ledger.guards import Guards
from worker.ledger.intents import Intents
from worker.ledger.job_arguments import ACCEPTED, JOB_FIELDS, job_arguments
from worker.ledger.keeping import Keeping
from worker.ledger.lanes import LaneRules
from worker.ledger.looks import WatchedRefunds
from worker.ledger.observed import ObservedStores
from worker.ledger.packing import Packing
from worker.ledger.rate import EXPECTED_CALLS
from worker.ledger.records import PAGE, Records
from worker.ledger.reindexing import Reindexing
from worker.ledger.scripts import MUTATING, load_scripts
from worker.ledger.webhooks import Webhooks
from worker.queue.delivery import Delivery
from worker.queue.handover import Handed
from worker.refund.facts import Facts
from worker.refund.outcomes import about, outcome
from worker.refund.producers import Signed
from worker.refund.record import Refund, is_whole, refund_from
from worker.refund.request import RefundRequest

#: A lease ends with its worker's heartbeat; this frees one that a living worker forgot.
LEASE_CAP_MS = 7_200_000
#: How soon to try again when another worker holds the order.
BUSY_MS = 500

#: One file each, in lua/.
SCRIPTS = (
    *("accept", "fetch", "claim", "intent", "commit"),
    *("give_back", "replay", "wake", "looks", "watched", "vouch"),
    *("requeue", "audit", "outage", "reindex", "forget"),
    *("adopt_archive", "trim_outcomes", "pack", "foresee"),
    *("observe", "observed", "webhook_open", "webhook_note", "webhook_act", "webhook_leave"),
)


class Ledger(Records):
    """Reads and writes refunds. Raises redis.RedisError when the server does not answer."""

    def __init__(
        self,
        client: redis.Redis,
        *,
        namespace: str,
        lanes: LaneRules,
        worker_dead_after_ms: int,
        settle_delay_ms: int = 0,
        wait_replicas: int = 0,
        knows_cells: bool = False,
        wall: Callable[[], float] = time.time,
    ) -> None:
        super().__init__(client, namespace)
        self._common = {"dead_after_ms": worker_dead_after_ms}
        if knows_cells:
            self._common["knows_cells"] = True
        self._settle_delay_ms = settle_delay_ms
        self._wall = wall
        #: The installation that the worker belongs to; until it is known, any ledger will do.
        self.installation: str | None = None
        self.is_other = False
        """Whether the ledger was found to be another one."""
        self.audit_log = AuditLog(client, self.ns)
        self._scripts = load_scripts(client, SCRIPTS, namespace=namespace, lanes=lanes)
        self.intents = Intents(self._run, client, self.ns, settle_delay_ms, wait_replicas)
        self.watched = WatchedRefunds(self._run, self)
        self.observed = ObservedStores(self._run)
        self.reindexing = Reindexing(client, self.ns, self.relist)
        self.circuit = Circuit(self._run)
        self.packing = Packing(client, self.ns, self._run)
        self.guards = Guards(self._run)
        self.keeping = Keeping(client, self.ns, self._run)
        self.webhooks = Webhooks(client, self.ns, self._run)

    def _run(self, script: str, act: Act | None = None, /, *texts: str, **arguments: Any) -> Any:
        given = {**self._common, **arguments}
        if self.installation:
            given["installation"] = self.installation
        try:
            return self.audit_log.call(self._scripts[script], given, act, texts)
        except redis.ResponseError as error:
            if "OTHERLEDGER" not in str(error):
                raise
            self.is_other = True
            raise OtherLedger(str(error)) from None

    def accept(
        self, request: RefundRequest, delivery: Delivery, *, digest: str = "", producer: str = ""
    ) -> Literal["accepted", "duplicate", "conflict"]:
        """Record a job as a refund, once. The same refund_id with other content is a conflict.

        It starts at the delivery's due time. *digest* is that of an older version; *producer* is
        who asked for it, if that is known without a signature.
        """
        job = job_arguments(request, delivery, producer=producer)
        [answer] = self._accept([job | {"digest": digest} if digest else job], delivery)
        return answer  # type: ignore[return-value]  # one of the three words of accept.lua

    def accept_all(self, jobs: list[tuple[RefundRequest, Delivery, Signed | None]]) -> list[str]:
        """Record jobs of one worker, see `accept`.

        An answer may also be "replayed", "elsewhere" or "failed: ERROR".
        """
        given = [job_arguments(*job) for job in jobs]
        return self._accept(given, jobs[0][1]) if given else []

    def _accept(self, jobs: list[dict[str, str]], who: Delivery) -> list[str]:
        texts = [job[field] for job in jobs for field in JOB_FIELDS]
        told = {"worker_id": who.worker_id, "queue": who.queue, "fields": JOB_FIELDS}
        return list(self._run("accept", None, *texts, **told, **ACCEPTED))

    def fetch(self, worker_id: str, *, wanted: int, known: list[str], block_ms: int) -> list[str]:
        """Hand out messages for steps to a worker, of which it knows some (worker.queue.broker)."""
        return list(
            self._run("fetch", worker_id=worker_id, wanted=wanted, known=known, block_ms=block_ms)
        )

    def claim(
        self,
        refund_id: str,
        transition: Transition,
        delivery: Delivery,
        *,
        calls: int | None = None,
    ) -> Claim:
        """Load the record, and take the lease; safe to repeat.

        The commit of the step before may have done it already (worker.queue.handover).
        *calls* to Wix are reserved: as many as the transition usually makes, if not given.
        """
        answer = delivery.claimed or self._run(
            "claim",
            **delivery.fields(),
            refund_id=refund_id,
            token=delivery.token,
            sources={state.value: True for state in sources(transition)},
            mutates=transition in MUTATING,
            calls=EXPECTED_CALLS[transition] if calls is None else calls,
            settle_delay_ms=self._settle_delay_ms,
            lease_cap_ms=LEASE_CAP_MS,
            busy_ms=BUSY_MS,
        )
        status, now_ms, fence, sealed, epoch, gone, waiting, *flat = answer
        fields = dict(zip(flat[::2], flat[1::2], strict=True))
        if status == "claimed":
            fields["intent_at_ms"] = fields.get("prior_intent_at_ms", "0")
        refund = refund_from(fields) if is_whole(fields) else None
        return Claim(
            status,
            int(now_ms),
            int(fence),
            refund,
            sealed,
            int(epoch or 0),
            disconnected=bool(gone),
            waiting=int(waiting),
        )

    def commit(
        self, refund_id: str, claim: Claim, commit: StepCommit, delivery: Delivery
    ) -> Literal["", "committed", "suspended"]:
        """Commit the result of a step; the delivery's chain gets what the thread goes on with.

        Returns "" when the lease was lost and nothing was written, and "suspended" when this step
        suspended its store.
        """
        chain = delivery.chain
        arguments, texts = commit_arguments(claim, commit, delivery)
        status, *handed = self._run(
            "commit",
            None,
            *texts,
            refund_id=refund_id,
            settle_delay_ms=self._settle_delay_ms,
            lease_cap_ms=LEASE_CAP_MS,
            **arguments,
        )
        if chain and handed:
            transition, message_id, *claimed = handed
            chain.next = Handed(transition, message_id, tuple(claimed))
        return "" if status == "stale" else status

    def give_back(
        self, worker_id: str, *, running: Iterable[str], older_than_ms: int | None = None
    ) -> list[str]:
        """Give back what was handed to executions that are not *running*; return the refunds."""
        older_ms = self._common["dead_after_ms"] if older_than_ms is None else older_than_ms
        known = dict.fromkeys(running, True)
        return list(
            self._run("give_back", worker_id=worker_id, running=known, older_than_ms=older_ms)
        )

    def write_intent(
        self,
        claim: Claim,
        refund: Refund,
        delivery: Delivery,
        guard: Mapping[str, Any] | None = None,
        *,
        expires_at_ms: int = 0,
    ) -> Intent:
        """Write, right before a mutating call, that it is made; say whether it may be.

        "lost": this delivery does not hold the lease on the order any more. "held_back": the server
        may have forgotten an intent. "unconfirmed": too few replicas of Redis have this one.
        "expired": *expires_at_ms* has passed. "needs_approval": it exceeds a limit of the *guard*.
        """
        return self.intents.write(claim, refund, delivery, guard, expires_at_ms)

    def replay(self, refund: Refund, facts: Facts, act: Act) -> bool:
        """Resume a dead letter where it stopped, with these facts.

        Returns False when it is no dead letter any more, or has changed since it was read.
        """
        return bool(
            self._run(
                "replay",
                act,
                refund_id=refund.refund_id,
                version=str(refund.version),
                nonce=uuid.uuid4().hex,
                facts=facts.to_json(),
                history=history_line({"event": "refund.replayed", "operator": act.by}),
                outcome=outcome("replayed", "replay", **about(refund.request), operator=act.by),
            )
        )

    def wake_due(
        self, worker_id: str, *, lead_ms: int, boot_id: str = "", boot_ms: int = 0, limit: int = 200
    ) -> Woken:
        """Wake what is due, if this worker leads.

        *boot_ms* is the time since the machine booted, and *boot_id* names that boot: readings
        of one boot can be compared. "" when neither is known.
        """
        leads, woken, stepped_ms = self._run(
            "wake",
            worker_id=worker_id,
            lead_ms=lead_ms,
            limit=limit,
            boot_id=boot_id,
            boot_ms=boot_ms,
            wall_ms=round(self._wall() * 1000),
            settle_delay_ms=self._settle_delay_ms,
        )
        return Woken(bool(leads), int(woken), int(stepped_ms))

    def requeue_lost(self) -> Iterator[str]:
        """Requeue lost refunds: those without a message and a living worker. Yields their ids."""
        stores: Any = self._redis.smembers(f"{self.ns}:busy_stores")
        listed = sorted(stores)
        for start in range(0, len(listed), PAGE):
            yield from self._run("requeue", stores=listed[start : start + PAGE])

    def misplaced(
        self, ids: list[str], *, repair: bool, act: Act | None = None
    ) -> list[tuple[str, str]]:
        """Return those of the ids that are not in exactly one place: (id, problem)."""
        flat = self._run("audit", act, ids=ids, repair=repair)
        return list(zip(flat[::2], flat[1::2], strict=True))

    def relist(self, ids: list[str], *, thorough: bool = False) -> int:
        """Put refunds into the lists for finding; return how many were listed differently.

        *thorough* says to list again what looks right.
        """
        return int(self._run("reindex", ids=ids, thorough=thorough))
