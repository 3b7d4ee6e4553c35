"""Takes messages from a queue for the worker threads.

The pitfalls that this answers are listed in worker/queue/README.md.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import TYPE_CHECKING

import dramatiq

from worker.observability.events import log_event
from worker.observability.redaction import redact_text
from worker.queue.decoding import Undecodable, decode
from worker.queue.names import INTAKE, MAX_LETTER, STEPS

if TYPE_CHECKING:
    from worker.queue.broker import Broker

#: Blocking fetches stay below the socket's timeout.
BLOCK_S = 1.0


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
        if not self._fetched:
            limit = self.broker.precedence.threads(self.prefetch)
            if not self._held.has_room(limit, self.block_s):
                return None
            self._fetched = self._fetch(limit)
        while self._fetched:
            message_id, body = self._fetched.pop(0)
            if message := self._decode(message_id, body):
                return message
        return None

    def _fetch(self, limit: int) -> list[tuple[str, str]]:
        """Fetch as many messages as may be held; wait a short time for the first one."""
        flat = self._take(limit)
        if not flat and self._wait():
            flat = self._take(limit)
        pairs = list(zip(flat[::2], flat[1::2], strict=True))
        self._held.add(message_id for message_id, _ in pairs)
        return pairs

    def _take(self, limit: int) -> list[str]:
        held = self._held.ids()
        return self.broker.fetch(
            self.queue_name,
            wanted=limit - len(held),
            # What was handed over has no message, unless the server has forgotten that.
            known=[*held, *self.broker.handed],
            block_ms=round(self.block_s * 1000),
        )

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
