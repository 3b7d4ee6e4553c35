"""dramatiq's Redis broker, hardened.

The pitfalls that each override answers are listed in worker/queue/README.md.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import dramatiq
import redis
from dramatiq.brokers.redis import RedisBroker
from dramatiq.errors import ConnectionClosed

from worker.observability.events import log_event
from worker.observability.redaction import redact_text
from worker.queue.decoding import Undecodable, decode
from worker.queue.held import Held
from worker.queue.server_errors import explain
from worker.upstream import wire

#: The queue of upstream's jobs, and the queue of our own messages.
INTAKE, STEPS = wire.INTAKE, "steps"
QUEUES = (INTAKE, STEPS)

#: Blocking fetches stay below the socket's timeout.
BLOCK_S = 1.0

#: The commands of consumers. Whoever calls another one logs its failure, or tells the caller.
CONSUMERS = frozenset({"fetch", "blmove", "ack", "requeue", "quarantine"})

#: Maximum number of characters of a message that its letter keeps.
MAX_LETTER = 20_000

#: In front of every script, also of the ledger's.
CLOCK_LUA = (Path(__file__).parent / "clock.lua").read_text()
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
        self._queue_script = client.register_script(_QUEUE_LUA)
        self._enqueue_script = client.register_script(wire.ENQUEUE_LUA)
        #: Consumers' commands that Redis does not answer at present; each is logged once.
        self._failing: set[str] = set()

    @property
    def consumer_class(self) -> type[Consumer]:
        """Our consumer blocks instead of polling and strands nothing (pitfalls 2, 3, 4, 15)."""
        return Consumer

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

    def put(self, queue: str, message_id: str, text: str) -> None:
        """Put the text of a message on a queue, with rights to this queue alone.

        Raises:
            ConnectionClosed: see `command`.
        """
        keys = [f"{self.namespace}:{queue}", f"{self.namespace}:{queue}.msgs"]
        with self.redis_errors("enqueue"):
            self._enqueue_script(keys=keys, args=[message_id, text])

    def beat(self) -> None:
        """Write this worker's heartbeat; a thread of its own calls this (pitfall 6)."""
        self.command("beat")

    def reclaim(self, dead_after_ms: int) -> list[str]:
        """Give dead workers' messages back to their queues; return those workers (pitfall 6).

        Also accepts what a plain producer delayed: nothing else reads dramatiq's delay queue.
        """
        return list(self.command("reclaim", dead_after_ms=dead_after_ms, queues=QUEUES))

    def quarantine(self, queue: str, message_id: str, letter: dict[str, Any]) -> None:
        """Keep a message that no actor can take for a person, without expiry (pitfalls 4, 5).

        A refund's steps share one letter: each new message would add another.
        """
        letter_id = message_id.rpartition("~")[0] if queue == STEPS else ""
        text = json.dumps(letter, ensure_ascii=False)
        self.command(
            "quarantine",
            queue,
            message_id=message_id,
            letter_id=letter_id or message_id,
            letter=text,
        )

    def quarantined(self) -> dict[str, dict[str, Any]]:
        """Return all letters, by the id of the message or of the refund."""
        found: Any = self.client.hgetall(f"{self.namespace}:quarantine")
        return {message_id: json.loads(letter) for message_id, letter in found.items()}


def _is_clean(text: str) -> bool:
    """Whether a letter can keep a message as it is: it is not too long and holds no secret."""
    return len(text) <= MAX_LETTER and redact_text(text) == text


class Consumer(dramatiq.Consumer):
    """Fetches from one queue; `ack` and `nack` are called by worker threads."""

    def __init__(self, broker: Broker, queue_name: str, prefetch: int, timeout: int) -> None:
        self.broker = broker
        self.queue_name = queue_name
        # dramatiq asks for two messages per thread; one is enough, since fetching blocks.
        self.prefetch = max(1, prefetch // 2)
        self.block_s = min(timeout / 1000, BLOCK_S)
        self._held = broker.held[queue_name]
        self._fetched: list[tuple[str, str]] = []

    def __next__(self) -> dramatiq.broker.MessageProxy | None:
        """Return the next message, None after a short wait without one."""
        if not self._fetched and not self._held.has_room(self.prefetch, self.block_s):
            return None
        if not self._fetched:
            self._fetched = self._fetch()
        while self._fetched:
            message_id, body = self._fetched.pop(0)
            if message := self._decode(message_id, body):
                return message
        return None

    def _fetch(self) -> list[tuple[str, str]]:
        flat = self._take()
        if not flat and self._wait():
            flat = self._take()
        pairs = list(zip(flat[::2], flat[1::2], strict=True))
        self._held.add(message_id for message_id, _ in pairs)
        return pairs

    def _take(self) -> list[str]:
        known = self._held.ids()
        wanted = self.prefetch - len(known)
        return list(self.broker.command("fetch", self.queue_name, wanted=wanted, known=known))

    def _wait(self) -> bool:
        """Block until there is a message. If the reply is lost, it is in flight but unknown."""
        full = f"{self.broker.namespace}:{self.queue_name}"
        with self.broker.redis_errors("blmove"):
            return bool(
                self.broker.client.blmove(
                    full,
                    f"{full}:inflight:{self.broker.broker_id}",
                    self.block_s,  # type: ignore[arg-type]  # Redis takes fractions of a second
                    "LEFT",
                    "RIGHT",
                )
            )

    def _decode(self, message_id: str, body: str) -> dramatiq.broker.MessageProxy | None:
        queue = self.queue_name
        try:
            message = decode(body, queue=queue, message_id=message_id, of_jobs=queue == INTAKE)
        except Undecodable:
            self._quarantine(message_id, "undecodable", body, intact=_is_clean(body))
            return None
        return dramatiq.broker.MessageProxy(message)

    def _quarantine(
        self, message_id: str, reason: str, message: str, *, intact: bool, **more: str
    ) -> None:
        letter = {
            "reason": reason,
            "queue": self.queue_name,
            "message": message if intact else redact_text(message[:MAX_LETTER]),
            "intact": intact,
            **more,
        }
        try:
            self.broker.quarantine(self.queue_name, message_id, letter)
        finally:
            # If that failed, the message is handed out and quarantined again.
            self._held.discard(message_id)
        log_event(
            "message.quarantined",
            reason=reason,
            queue=self.queue_name,
            message_id=message_id,
            **more,
        )

    def ack(self, message: dramatiq.broker.MessageProxy) -> None:
        """Acknowledge a message, unless the ledger's script has done so already.

        A message whose step could not be committed stays in flight and is handed out again by the
        next fetch, because it is unknown from now on (pitfall 1).
        """
        message_id = message.options["redis_message_id"]
        if not message.options.get("acknowledged") and not message.options.get("uncommitted"):
            self.broker.command("ack", self.queue_name, message_id=message_id)
        self._held.discard(message_id)

    def nack(self, message: dramatiq.broker.MessageProxy) -> None:
        """Keep a message that no actor could take (pitfalls 12, 13) for a person.

        A step that this version does not know was sent by a newer one, which finds the refund in
        its lane.
        """
        if self.queue_name == STEPS and "failed_with" not in message.options:
            self.ack(message)
            log_event("step.newer", transition=message.actor_name)
            return
        reason = message.options.get("failed_with", "unknown_actor")
        given = message.asdict() | {"options": message.options["given"]}
        text = json.dumps(given)
        # Secrets are not kept, but a job's metadata is the caller's.
        kwargs = {name: value for name, value in message.kwargs.items() if name != "metadata"}
        is_clean = len(text) <= MAX_LETTER and _is_clean(json.dumps(given | {"kwargs": kwargs}))
        error = {"error": message.options["error"]} if "error" in message.options else {}
        self._quarantine(
            message.options["redis_message_id"], reason, text, intact=is_clean, **error
        )

    def requeue(self, messages: Iterable[dramatiq.broker.MessageProxy]) -> None:
        """Give back what was fetched but not run, at shutdown (pitfall 2)."""
        ids = [message.options["redis_message_id"] for message in messages]
        ids += [message_id for message_id, _ in self._fetched]
        self._fetched = []
        self._held.discard(*ids)
        if ids:
            self.broker.command("requeue", self.queue_name, ids=ids)

    def close(self) -> None:
        """Return what was fetched but not handed out."""
        self.requeue([])
