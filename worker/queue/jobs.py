"""Takes upstream's jobs from their queue, many at once.

One message stands for all jobs of a batch, so that one thread accepts them together. Each job keeps
its own message: it is acknowledged, comes again or becomes a letter by itself.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

import dramatiq

from worker.observability.foreign import type_and_place
from worker.queue.consumer import Consumer
from worker.queue.decoding import TAKES_JOBS
from worker.queue.delivery import Delivery

#: Maximum number of jobs that are accepted at once.
BATCH = 100


@dataclass(frozen=True)
class Job:
    """One job of a batch."""

    message: dramatiq.broker.MessageProxy
    delivery: Delivery

    @property
    def fields(self) -> Mapping[str, Any]:
        """What upstream sent."""
        return self.message.kwargs

    def fail(self, error: Exception) -> None:
        """Let this job's message become a letter, because of a bug."""
        mark_failed(self.message, type_and_place(error))


_jobs: ContextVar[list[Job]] = ContextVar("jobs")


def current_jobs() -> list[Job]:
    """Return the jobs that the calling actor runs for."""
    return _jobs.get()


def set_jobs(jobs: list[Job]) -> None:
    """Set them, before the actor runs."""
    _jobs.set(jobs)


def batch_of(message: dramatiq.broker.MessageProxy) -> list[dramatiq.broker.MessageProxy]:
    """Return the messages of the batch that this one stands for; [] if it stands for none."""
    return list(message.options.get("batch", ()))


def jobs_of(message: dramatiq.broker.MessageProxy, worker_id: str) -> list[Job]:
    """Return the jobs of the batch that this message stands for; [] if it stands for none."""
    jobs = []
    for each in batch_of(message):
        options = each.options
        place, due_at_ms = options["redis_message_id"], options.get("due_at_ms", 0)
        problems = options.get("problems", {})
        jobs.append(Job(each, Delivery(worker_id, each.queue_name, place, "", due_at_ms, problems)))
    return jobs


def mark_failed(message: dramatiq.broker.MessageProxy, error: str) -> None:
    """Say why a message needs a person: the type and place of an error."""
    message.options["failed_with"] = "worker_error"
    message.options["error"] = error


class JobConsumer(Consumer):
    """Fetches jobs in batches, one at a time."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self._others: list[dramatiq.broker.MessageProxy] = []

    def __next__(self) -> dramatiq.broker.MessageProxy | None:
        """Return the next batch; None after a short wait without a job."""
        if self._others:
            return self._others.pop(0)
        if not self._held.has_room(1, self.block_s):
            return None
        batch = []
        self._fetched = self._fetch(BATCH)
        while self._fetched:
            message = self._decode(*self._fetched.pop(0))
            if message and message.actor_name == TAKES_JOBS:
                batch.append(message)
            elif message:
                self._others.append(message)
        if not batch:
            return self._others.pop(0) if self._others else None
        return dramatiq.broker.MessageProxy(
            batch[0].copy(options={**batch[0].options, "batch": batch})
        )

    def _take(self, limit: int) -> list[str]:
        """Take up to *limit* jobs. Steps learn whether more wait before this thread does."""
        flat = super()._take(limit)
        self.broker.precedence.saw_line(is_long=len(flat) >= 2 * limit)
        return flat

    def ack(self, message: dramatiq.broker.MessageProxy) -> None:
        """Acknowledge each job of a batch, except those that become letters."""
        batch = batch_of(message)
        if not batch:
            super().ack(message)
        for job in batch:
            if "failed_with" in job.options:
                super().nack(job)
        # The script that accepted the others has acknowledged them; what it did not comes again.
        self._held.discard(*(job.options["redis_message_id"] for job in batch))

    def nack(self, message: dramatiq.broker.MessageProxy) -> None:
        """Keep what no actor could take for a person."""
        for job in batch_of(message) or [message]:
            if "failed_with" in message.options:
                mark_failed(job, message.options["error"])
            super().nack(job)

    def requeue(self, messages: Iterable[dramatiq.broker.MessageProxy]) -> None:
        """Give back what was fetched but not run, at shutdown (pitfall 2)."""
        given = [job for message in messages for job in batch_of(message) or [message]]
        super().requeue([*given, *self._others])
        self._others = []
