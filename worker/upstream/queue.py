"""`RefundQueue`: ask for refunds, and read what became of them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from types import TracebackType
from typing import Any

from .job import check_job
from .many import Refused, Requested, messages_of
from .outcomes import Outcome, read
from .wire import ENQUEUE_LUA, message_of, queue_keys


class RefundQueue:
    """Sends refund jobs; one object may be shared by all threads.

    >>> with RefundQueue("redis://localhost:6379/0") as queue:
    ...     queue.request(
    ...         refund_id="rf-1", store_id="<site uuid>", order_id="<order uuid>"
    ...     )  # doctest: +SKIP
    """

    def __init__(self, redis_url: str, *, namespace: str = "refunds") -> None:
        # Importing redis takes several times as long as everything else here.
        from .connection import redis_client  # noqa: PLC0415

        self._namespace = namespace
        self._redis = redis_client(redis_url, namespace=namespace)
        self._enqueue = self._redis.register_script(ENQUEUE_LUA)

    def request(self, **job: Any) -> str:
        """Check a job, send it, and return its refund_id. Safe to repeat with the same content.

        Raises:
            InvalidJob: the job has a wrong field; nothing was sent.
            redis.RedisError: Redis did not answer, and it is not known whether the job arrived;
                send it again.
        """
        fields = check_job(job)
        self._enqueue(keys=queue_keys(self._namespace), args=message_of(fields))
        return str(fields["refund_id"])

    def request_many(self, jobs: Iterable[Mapping[str, Any]]) -> Requested:
        """Check many jobs and send them in batches; an invalid one does not stop the others.

        Safe to repeat with the same content. *jobs* may be a generator: it is read as the jobs are
        sent, and what is sent is not kept.

        Raises:
            redis.RedisError: Redis did not answer, and it is not known which jobs arrived;
                send all of them again.
        """
        refused: list[Refused] = []
        sent = 0
        for batch in messages_of(jobs, refused):
            self._enqueue(keys=queue_keys(self._namespace), args=batch)
            sent += len(batch) // 2
        return Requested(sent, refused)

    def outcomes(self, *, after: str = "0", follow: bool = False) -> Iterator[Outcome]:
        """Yield what became of the refunds, oldest first; with *follow* wait for more, for ever.

        Raises:
            redis.RedisError: Redis did not answer; continue after the last position.
        """
        return read(self._redis, self._namespace, after=after, follow=follow)

    def close(self) -> None:
        """Close the connections to Redis."""
        self._redis.close()

    def __enter__(self) -> RefundQueue:  # noqa: PYI034 - `Self` came with Python 3.11
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()
