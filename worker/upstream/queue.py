"""`RefundQueue`: ask for refunds, and read what became of them."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from types import TracebackType
from typing import Any

from .ahead import Sender
from .cells import AllPages, Cells, Members
from .groups import CLAIM_AFTER_S, Member, default_consumer
from .many import Batches, Requested, checked_message
from .reading import Outcomes
from .signing import Signer
from .status import Status, pauses_s, read_status, too_late
from .wire import ENQUEUE_LUA, queue_keys

#: What one cell says of a refund that another one knows better.
_UNSURE = {"queued": 1, "unknown": 2}


class RefundQueue:
    """Sends refund jobs; one object may be shared by all threads.

    With *producer* and *key* it signs them.

    >>> with RefundQueue("redis://localhost:6379/0") as queue:
    ...     queue.request(
    ...         refund_id="rf-1", store_id="<site uuid>", order_id="<order uuid>"
    ...     )  # doctest: +SKIP
    """

    def __init__(
        self, redis_url: str, *, namespace: str = "refunds", producer: str = "", key: str = ""
    ) -> None:
        # Importing redis takes several times as long as everything else here.
        from .connection import redis_client  # noqa: PLC0415 - see above

        self._namespace = namespace
        self.signer = Signer(producer, key) if producer or key else None
        """Signs each job, if the worker wants signatures."""
        self._redis = redis_client(redis_url, namespace=namespace)
        self._cells = Cells(
            self._redis, namespace, lambda cell: redis_client(redis_url, namespace=cell)
        )
        self._enqueue = self._redis.register_script(ENQUEUE_LUA)

    def request(self, **job: Any) -> str:
        """Check a job, send it, and return its refund_id. Safe to repeat with the same content.

        Raises:
            InvalidJob: the job has a wrong field; nothing was sent.
            redis.RedisError: Redis did not answer, and it is not known whether the job arrived;
                send it again.
        """
        self.send(checked_message(job, self.signer))
        return str(job["refund_id"])

    def request_many(self, jobs: Iterable[Mapping[str, Any]]) -> Requested:
        """Check many jobs and send them in batches; an invalid one does not stop the others.

        Safe to repeat with the same content. *jobs* may be a generator: it is read as the jobs are
        sent, and what is sent is not kept.

        Raises:
            redis.RedisError: Redis did not answer, and it is not known which jobs arrived;
                send all of them again.
        """
        batches = Batches(self.signer)
        with self._redis.client() as single:  # type: ignore[no-untyped-call]  # redis-py's
            sender = Sender(single, self._enqueue.sha, queue_keys(self._namespace), self.send)
            for batch in batches.of(jobs):
                sender.begin(batch)
            sender.finish()
        return batches.result()

    def send(self, messages: Sequence[str]) -> None:
        """Put messages on the queue, all or none: three texts each, see `wire.Message`."""
        self._enqueue(keys=queue_keys(self._namespace), args=messages)

    def status(self, refund_id: str) -> Status:
        """Return what is known of a refund now, also while its job is in the queue.

        Raises:
            redis.RedisError: Redis did not answer.
        """
        found = read_status(self._redis, self._namespace, refund_id)
        if found.state in {"queued", "unknown"}:
            # Its store may live in a cell; at the front there may be a repeat of its job.
            self._cells.look()
            others = [read_status(*one, refund_id) for one in self._cells.clients()[1:]]
            found = min([found, *others], key=lambda one: _UNSURE.get(one.state, 0))
        return found

    def wait(self, refund_id: str, timeout_s: float) -> Status:
        """Wait until a refund has ended or needs a person.

        Raises:
            TimeoutError: it had not within *timeout_s*; the text has its state.
            redis.RedisError: Redis did not answer; wait again.
        """
        end_s = time.monotonic() + timeout_s
        for pause_s in pauses_s():
            found = self.status(refund_id)
            if found.is_final or found.needs_person:
                return found
            left_s = end_s - time.monotonic()
            if left_s <= 0:
                raise too_late(found, timeout_s)
            time.sleep(min(pause_s, left_s))
        raise AssertionError("unreachable: there is always another pause")

    def outcomes(
        self,
        *,
        group: str = "",
        consumer: str = "",
        after: str = "0",
        follow: bool = False,
        claim_after_s: float = CLAIM_AFTER_S,
    ) -> Outcomes:
        """Yield what became of the refunds, oldest first; with *follow* wait for more, for ever.

        With *group* the events are shared by its consumers, and each comes again until it is
        acknowledged; a new group begins behind *after*.

        Raises:
            redis.RedisError: Redis did not answer; continue after the last position, or ask again.
        """
        if not group:
            return Outcomes(self.pages(after), follow=follow)
        return Outcomes(self.member(group, consumer, after, claim_after_s), follow=follow)

    def member(self, group: str, consumer: str, after: str, claim_after_s: float) -> Members:
        """Return a consumer of a group; without a name it has that of this process."""
        name = consumer or default_consumer()
        return Members(
            self._cells,
            after,
            lambda client, namespace, begin: Member(
                client,
                namespace,
                group=group,
                consumer=name,
                after=begin,
                claim_after_s=claim_after_s,
            ),
        )

    def pages(self, after: str) -> AllPages:
        """Return what reads the events behind a position, page by page."""
        return AllPages(self._cells, after)

    def close(self) -> None:
        """Close the connections to Redis."""
        self._cells.close()
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
