"""`AsyncRefundQueue`: the same for programs with asyncio.

Each round trip runs in a thread, with the connections of `RefundQueue`: the event loop never waits,
and a failover is followed in the same way.
"""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncIterable, Callable, Iterable, Mapping
from functools import partial
from types import TracebackType
from typing import TYPE_CHECKING, Any, TypeVar

from .cells import AllPages, Members
from .groups import CLAIM_AFTER_S
from .many import Batches, Requested, checked_message
from .outcomes import Outcome
from .queue import RefundQueue
from .reading import member_of
from .status import Status, pauses_s, too_late

if TYPE_CHECKING:
    from concurrent.futures import ThreadPoolExecutor

#: How many round trips are on their way at the same time.
_THREADS = 16
_Answer = TypeVar("_Answer")


class AsyncRefundQueue:
    """Sends refund jobs from coroutines; the methods are those of `RefundQueue`.

    >>> async with AsyncRefundQueue("redis://localhost:6379/0") as queue:  # doctest: +SKIP
    ...     await queue.request(refund_id="rf-1", store_id="<site uuid>", order_id="<order uuid>")
    """

    def __init__(
        self, redis_url: str, *, namespace: str = "refunds", producer: str = "", key: str = ""
    ) -> None:
        from concurrent.futures import ThreadPoolExecutor  # noqa: PLC0415 - see RefundQueue

        self._queue = RefundQueue(redis_url, namespace=namespace, producer=producer, key=key)
        self._threads: ThreadPoolExecutor = ThreadPoolExecutor(_THREADS, "refund-queue")

    async def run(self, function: Callable[..., _Answer], *arguments: Any, **more: Any) -> _Answer:
        """Call a function in a thread. A call that is cancelled may still take effect."""
        import asyncio  # noqa: PLC0415 - see RefundQueue

        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._threads, partial(function, *arguments, **more))

    async def request(self, **job: Any) -> str:
        """See `RefundQueue.request`."""
        await self.run(self._queue.send, checked_message(job, self._queue.signer))
        return str(job["refund_id"])

    async def request_many(
        self, jobs: Iterable[Mapping[str, Any]] | AsyncIterable[Mapping[str, Any]]
    ) -> Requested:
        """See `RefundQueue.request_many`; *jobs* may also come from an asynchronous generator."""
        batches = Batches(self._queue.signer)
        if isinstance(jobs, AsyncIterable):
            async for job in jobs:
                if batch := batches.add(job):
                    await self.run(self._queue.send, batch)
            if batch := batches.rest():
                await self.run(self._queue.send, batch)
        else:
            for batch in batches.of(jobs):
                await self.run(self._queue.send, batch)
        return batches.result()

    async def status(self, refund_id: str) -> Status:
        """See `RefundQueue.status`."""
        return await self.run(self._queue.status, refund_id)

    async def wait(self, refund_id: str, timeout_s: float) -> Status:
        """See `RefundQueue.wait`."""
        import asyncio  # noqa: PLC0415 - see RefundQueue

        loop = asyncio.get_running_loop()
        end_s = loop.time() + timeout_s
        for pause_s in pauses_s():
            found = await self.status(refund_id)
            if found.is_final or found.needs_person:
                return found
            left_s = end_s - loop.time()
            if left_s <= 0:
                raise too_late(found, timeout_s)
            await asyncio.sleep(min(pause_s, left_s))
        raise AssertionError("unreachable: there is always another pause")

    def outcomes(
        self,
        *,
        group: str = "",
        consumer: str = "",
        after: str = "0",
        follow: bool = False,
        claim_after_s: float = CLAIM_AFTER_S,
    ) -> AsyncOutcomes:
        """See `RefundQueue.outcomes`."""
        if group:
            source: Members | AllPages = self._queue.member(group, consumer, after, claim_after_s)
        else:
            source = self._queue.pages(after)
        return AsyncOutcomes(self, source, follow=follow)

    async def close(self) -> None:
        """Close the connections to Redis."""
        self._threads.shutdown(wait=False)
        self._queue.close()

    async def __aenter__(self) -> AsyncRefundQueue:  # noqa: PYI034 - see RefundQueue
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.close()


class AsyncOutcomes:
    """The events, for `async for`; those of a group come again until they are acknowledged."""

    def __init__(
        self, queue: AsyncRefundQueue, source: Members | AllPages, *, follow: bool
    ) -> None:
        self._queue = queue
        self._source = source
        self._follow = follow
        self._ready: deque[Outcome] = deque()

    def __aiter__(self) -> AsyncOutcomes:
        return self

    async def __anext__(self) -> Outcome:
        while not self._ready:
            self._ready.extend(await self._next())
            if not self._ready:
                if not self._follow:
                    raise StopAsyncIteration
                if isinstance(self._source, Members):
                    await self._queue.run(self._source.pause)
        return self._ready.popleft()

    async def _next(self) -> list[Outcome]:
        if isinstance(self._source, Members):
            return await self._queue.run(self._source.take)
        return await self._queue.run(self._source.next, block=self._follow)

    async def acknowledge(self, outcome: Outcome) -> None:
        """Say that an event of a group was dealt with: nobody gets it again."""
        await self._queue.run(member_of(self._source).acknowledge, outcome)

    async def close(self) -> None:
        """Let the other consumers of the group have what is not acknowledged, at once."""
        if isinstance(self._source, Members):
            await self._queue.run(self._source.leave)

    async def __aenter__(self) -> AsyncOutcomes:  # noqa: PYI034 - see RefundQueue
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.close()
