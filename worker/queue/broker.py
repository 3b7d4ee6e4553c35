"""dramatiq's Redis broker, hardened.

The pitfalls that each override answers are listed in worker/queue/README.md.
"""

from __future__ import annotations

import json
import uuid
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import dramatiq
import redis
from dramatiq.brokers.redis import RedisBroker
from dramatiq.errors import ConnectionClosed

from worker.errors import OtherLedger
from worker.observability.events import log_event
from worker.observability.meter import Meter
from worker.queue.consumer import Consumer
from worker.queue.held import Held
from worker.queue.jobs import JobConsumer
from worker.queue.names import INTAKE, MAX_LETTER, QUEUES, STEPS
from worker.queue.own_calls import OwnCalls
from worker.queue.precedence import Precedence
from worker.queue.server_errors import explain
from worker.upstream import wire

#: The commands of consumers. Whoever calls another one logs its failure, or tells the caller.
CONSUMERS = frozenset({"fetch", "blmove", "ack", "requeue", "quarantine"})

#: One job in so many is taken from the end of a long queue: one that has just arrived need not wait
#: for all that came before it. Their order does not matter.
NEWEST = 10

#: In front of every script, also of the ledger's.
CLOCK_LUA = "".join(
    (Path(__file__).parent / f"{part}.lua").read_text()
    for part in ("clock", "counters", "lost_writes")
)
_QUEUE_LUA = CLOCK_LUA + (Path(__file__).parent / "queue.lua").read_text()


class Broker(RedisBroker):
    """Keeps messages in dramatiq's layout, but fetches, acknowledges and returns them by script."""

    def __init__(
        self, client: redis.Redis, *, namespace: str, middleware: list[dramatiq.Middleware]
    ) -> None:
        super().__init__(  # type: ignore[no-untyped-call]  # dramatiq's is not annotated
            client=client, namespace=f"{{{namespace}}}", middleware=middleware
        )
        #: By queue. It outlives a consumer, which dramatiq recreates after each connection error:
        #: the messages may still be running in a worker thread.
        self.held: dict[str, Held] = defaultdict(Held)
        self.precedence = Precedence()
        #: What this worker says about itself with each heartbeat; nothing from a command.
        self.about: Callable[[], Mapping[str, str | int]] | None = None
        #: The calls to Wix that this worker has made lately, and the numbers of its heartbeats.
        self.own_calls = OwnCalls()
        #: Vouches for these calls, after a heartbeat that met another server.
        self.vouch: Callable[[], object] | None = None
        #: What it counts between two heartbeats.
        self.meter = Meter()
        #: The executions of steps that threads run now.
        self.executions: set[str] = set()
        #: The ids of what was handed over, and runs now.
        self.handed: set[str] = set()
        #: Whether threads go on with what they are handed: while a worker runs.
        self.hands_over = False
        #: Takes this worker's messages for steps from the ledger, which knows whose turn it is.
        self.fetch_steps: Callable[..., list[str]] | None = None
        self._queue_script = client.register_script(_QUEUE_LUA)
        self._enqueue_script = client.register_script(wire.ENQUEUE_LUA)
        #: Consumers' commands that Redis does not answer at present; each is logged once.
        self._failing: set[str] = set()

    def consume(self, queue_name: str, prefetch: int = 1, timeout: int = 5000) -> Consumer:
        """Our consumers block instead of polling and strand nothing (pitfalls 2, 3, 4, 15)."""
        kind = JobConsumer if queue_name == INTAKE else Consumer
        return kind(self, queue_name, prefetch, timeout)

    def command(self, name: str, queue: str = "", **arguments: Any) -> Any:
        """Run one command of queue.lua with its arguments.

        Raises:
            ConnectionClosed: the server did not answer, or not as it should (pitfall 9).
        """
        given = {"command": name, "worker_id": self.broker_id, "queue": queue, **arguments}
        text = json.dumps(given, ensure_ascii=False)
        with self.redis_errors(name):
            return self._queue_script(keys=[self.namespace], args=[text])

    @contextmanager
    def redis_errors(self, name: str) -> Iterator[None]:
        """Raise every failure of Redis as `ConnectionClosed`; log a consumer's first one."""
        try:
            yield
        except redis.RedisError as error:
            if name in CONSUMERS and name not in self._failing:
                self._failing.add(name)
                log_event("worker.redis_lost", error=explain(error))
            raise ConnectionClosed(error) from None  # type: ignore[no-untyped-call]  # dramatiq's
        except OtherLedger as error:  # the program logs it once, and stops
            raise ConnectionClosed(error) from None  # type: ignore[no-untyped-call]  # dramatiq's
        self._failing.discard(name)

    def declare_queue(self, queue_name: str) -> None:
        """Declare a queue without dramatiq's delay queue (pitfalls 3, 10)."""
        if queue_name not in self.queues:
            self.emit_before("declare_queue", queue_name)
            self.queues.add(queue_name)
            self.emit_after("declare_queue", queue_name)

    def enqueue(
        self, message: dramatiq.Message[Any], *, delay: int | None = None
    ) -> dramatiq.Message[Any]:
        """Enqueue at most once for each message id (pitfalls 7, 8)."""
        if delay is not None:
            raise ValueError("delays are kept in the ledger, not in the queue: do not set one")
        message = message.copy(options={"redis_message_id": message.message_id})
        text = message.encode().decode()
        self.put(message.queue_name, message.message_id, text)
        return message

    def put(self, queue: str, message_id: str, text: str, *, own_id: str = "") -> None:
        """Put the text of a message on a queue, with rights to this queue alone.

        If *message_id* is taken by another message, it has its *own_id*.

        Raises:
            ConnectionClosed: see `command`.
        """
        keys = [f"{self.namespace}:{queue}", f"{self.namespace}:{queue}.msgs"]
        with self.redis_errors("enqueue"):
            self._enqueue_script(keys=keys, args=[message_id, own_id or message_id, text])

    def fetch(self, queue: str, *, wanted: int, known: list[str], block_ms: int) -> list[str]:
        """Take messages from a queue: id, text, id, text, ...

        Raises:
            ConnectionClosed: see `command`.
        """
        if queue != STEPS or self.fetch_steps is None:
            newest = wanted // NEWEST if queue == INTAKE else 0
            return list(self.command("fetch", queue, wanted=wanted, known=known, newest=newest))
        with self.redis_errors("fetch"):
            return self.fetch_steps(self.broker_id, wanted=wanted, known=known, block_ms=block_ms)

    def may_go_on(self) -> bool:
        """Whether a thread may go on: nothing waits that comes first, and the worker works."""
        waits = self.held[STEPS].is_waiting() or self.precedence.holds()
        return self.hands_over and not waits

    def beat(self) -> None:
        """Write this worker's heartbeat; a thread of its own calls this (pitfall 6)."""
        counts = self.meter.take()
        number, era = self.own_calls.next_beat()
        try:
            about = dict(self.about()) if self.about else {}
            present = self.command("beat", counts=counts, about=about, number=number, era=era)
        except ConnectionClosed:
            self.meter.add(counts)
            raise
        if not self.own_calls.heard(number, str(present)) and self.vouch:
            with self.redis_errors("vouch"):
                self.vouch()

    def leave(self) -> None:
        """This worker has stopped: nobody need wait for its heartbeat."""
        self.command("leave", queues=QUEUES)

    def reclaim(self, dead_after_ms: int) -> list[str]:
        """Give dead workers' messages back to their queues; return those workers (pitfall 6).

        Also accepts what a plain producer delayed: nothing else reads dramatiq's delay queue.
        """
        return list(self.command("reclaim", dead_after_ms=dead_after_ms, queues=QUEUES))

    def quarantine(self, queue: str, message_id: str, letter: dict[str, Any]) -> None:
        """Keep a message that no actor can take for a person, without expiry (pitfalls 4, 5).

        A refund's steps share one letter: each new message would add another. Its jobs do not,
        although one after the other may have the same place in the queue.
        """
        letter_id = message_id.rpartition("~")[0] if queue == STEPS else ""
        if queue == INTAKE and "/" in message_id:
            letter_id = f"{message_id}/{uuid.uuid4().hex[:8]}"
        text = json.dumps(letter, ensure_ascii=False)
        self.command(
            "quarantine",
            queue,
            message_id=message_id,
            letter_id=letter_id or message_id,
            letter=text,
        )

    def letter(self, letter_id: str) -> dict[str, Any] | None:
        """Return one letter, None if there is none."""
        text: Any = self.client.hget(f"{self.namespace}:quarantine", letter_id)
        return json.loads(text) if text else None

    def quarantined(self) -> dict[str, dict[str, Any]]:
        """Return all letters, by the id of the message or of the refund."""
        found: Any = self.client.hgetall(f"{self.namespace}:quarantine")
        return {message_id: json.loads(letter) for message_id, letter in found.items()}


__all__ = ["CLOCK_LUA", "CONSUMERS", "INTAKE", "MAX_LETTER", "QUEUES", "STEPS", "Broker"]
