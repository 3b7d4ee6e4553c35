"""`AsyncRefundQueue` does the same as `RefundQueue`, and never blocks the event loop."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from typing import Any

import pytest

from tests.support.rig import AFTER, STORE_ID, Rig
from worker.client import AsyncRefundQueue
from worker.upstream import InvalidJob

Run = Callable[[Callable[[AsyncRefundQueue], Awaitable[None]]], None]


@pytest.fixture
def run(rig: Rig) -> Run:
    """Run a coroutine with a client of the rig's server."""

    async def _with_queue(body: Callable[[AsyncRefundQueue], Awaitable[None]]) -> None:
        url = rig.settings.redis_url.get_secret_value()
        async with AsyncRefundQueue(url, namespace=rig.settings.namespace) as queue:
            await body(queue)

    return lambda body: asyncio.run(_with_queue(body))


def _job(rig: Rig, refund_id: str) -> dict[str, str]:
    return {"refund_id": refund_id, "store_id": STORE_ID, "order_id": rig.order(AFTER).id}


async def _beside(body: Coroutine[Any, Any, None], other: Callable[[], object]) -> None:
    task = asyncio.create_task(body)
    await asyncio.to_thread(other)
    await task


def test_a_refund_from_its_job_to_its_outcome(rig: Rig, run: Run) -> None:
    """Request, status, wait and outcomes."""

    async def _body(queue: AsyncRefundQueue) -> None:
        assert await queue.request(**_job(rig, "rf-1")) == "rf-1"
        assert (await queue.status("rf-1")).state == "queued"

        async def _waits() -> None:
            assert (await queue.wait("rf-1", 60)).state == "refunded"

        await _beside(_waits(), rig.run_until_idle)
        found = [outcome.event["type"] async for outcome in queue.outcomes()]
        assert found == ["refund.accepted", "refund.finished"]
        with pytest.raises(TimeoutError, match="rf-9 is unknown"):
            await queue.wait("rf-9", 0)

    run(_body)


def test_an_invalid_job_is_refused(rig: Rig, run: Run) -> None:
    """Nothing was sent."""

    async def _body(queue: AsyncRefundQueue) -> None:
        with pytest.raises(InvalidJob):
            await queue.request(refund_id="rf-1")

    run(_body)
    assert rig.redis.llen(rig.key("refunds")) == 0


def test_many_jobs_from_both_kinds_of_iterables(rig: Rig, run: Run) -> None:
    """A list, and an asynchronous generator."""
    jobs: list[dict[str, Any]] = [_job(rig, f"rf-{number}") for number in range(3)]

    async def _generated() -> AsyncIterator[dict[str, Any]]:
        for job in [*jobs, {}]:
            yield job

    async def _body(queue: AsyncRefundQueue) -> None:
        assert await queue.request_many(jobs) == (3, [])
        sent, refused = await queue.request_many(_generated())
        assert (sent, [each.number for each in refused]) == (3, [4])

    run(_body)
    rig.run_until_idle()
    assert rig.ledger.count() == 3


def test_a_group_shares_its_events_and_acknowledges_them(rig: Rig, run: Run) -> None:
    """What one consumer leaves, another one gets."""
    rig.run(rig.order(AFTER), refund_id="rf-1")

    async def _body(queue: AsyncRefundQueue) -> None:
        async with queue.outcomes(group="g", consumer="one", follow=True) as events:
            outcome = await anext(aiter(events))
            await events.acknowledge(outcome)
        left = [one.event["type"] async for one in queue.outcomes(group="g", consumer="two")]
        assert left == ["refund.finished"]

    run(_body)


def test_only_events_of_a_group_are_acknowledged(run: Run) -> None:
    """Others have a position that the caller keeps."""

    async def _body(queue: AsyncRefundQueue) -> None:
        with pytest.raises(TypeError, match="only events of a group"):
            await queue.outcomes().acknowledge(None)  # type: ignore[arg-type]  # refused before

    run(_body)


def test_an_event_that_comes_later_ends_the_wait(rig: Rig, run: Run) -> None:
    """With and without a group."""

    async def _body(queue: AsyncRefundQueue) -> None:
        async def _first(**more: Any) -> None:
            assert (await anext(queue.outcomes(follow=True, **more))).event["subject"] == "rf-1"

        both = asyncio.gather(_first(), _first(group="g"))
        await asyncio.to_thread(rig.run, rig.order(AFTER), refund_id="rf-1")
        await both

    run(_body)
