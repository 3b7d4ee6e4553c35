"""The threads of a worker: those that run steps, and one that takes jobs in.

While Wix does not answer, every thread for steps waits in a call. Jobs must not wait for that:
upstream is told at once that they were accepted.
"""

from __future__ import annotations

from contextlib import suppress
from queue import PriorityQueue
from typing import Any

import dramatiq
from dramatiq.errors import ConnectionClosed
from dramatiq.worker import ConsumerThread, WorkerThread

from worker.queue.names import INTAKE

#: How often a thread without work looks whether it must stop.
LOOKS_MS = 100
#: How long a thread that fetches waits for a message, of which Redis tells it at once.
WAITS_MS = 500


class Threads(dramatiq.Worker):
    """dramatiq's threads for steps, and one more for batches of jobs."""

    def __init__(self, broker: dramatiq.Broker, *, threads: int) -> None:
        super().__init__(broker, worker_threads=threads, worker_timeout=LOOKS_MS)
        #: A batch that was fetched, but has not begun.
        self._batches: PriorityQueue[Any] = PriorityQueue()
        self._intake = WorkerThread(
            broker=broker,
            consumers=self.consumers,
            work_queue=self._batches,
            worker_timeout=LOOKS_MS,
        )

    @property
    def is_busy(self) -> bool:
        """Whether a thread still runs, although it was told to stop."""
        return any(thread.is_alive() for thread in (*self.workers, self._intake))

    def start(self) -> None:
        """Start all threads."""
        super().start()
        self._intake.start()

    def stop(self, timeout: int = 600_000) -> None:
        """Stop the threads; each step, and the batch of jobs, has *timeout* ms to end."""
        jobs = self.consumers[INTAKE]
        jobs.stop()
        # Steps may take long to end: a batch that has just been fetched must not wait for them.
        super().stop(timeout)
        self._intake.stop()
        self._intake.join(timeout / 1000)
        left = [self._batches.get_nowait().message for _ in range(self._batches.qsize())]
        # Without any there may be nothing to give them to: the thread may not have begun to fetch.
        if left:
            with suppress(ConnectionClosed):  # then another worker takes them over
                jobs.requeue_messages(left)

    def _add_consumer(self, queue_name: str, *, delay: bool = False) -> None:  # noqa: ARG002 - there are no delay queues
        """Add the consumer of a queue; jobs go to their own thread."""
        consumer = self.consumers[queue_name] = ConsumerThread(
            broker=self.broker,
            queue_name=queue_name,
            prefetch=self.queue_prefetch,
            work_queue=self._batches if queue_name == INTAKE else self.work_queue,
            worker_timeout=WAITS_MS,
        )
        consumer.start()
