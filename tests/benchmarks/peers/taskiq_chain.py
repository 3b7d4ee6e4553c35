"""A chain of taskiq tasks, on the stream broker that taskiq recommends because it acknowledges."""

from __future__ import annotations

import asyncio
import sys

from taskiq import TaskiqEvents, TaskiqState
from taskiq_redis import RedisStreamBroker

from tests.benchmarks.peers import calls

broker = RedisStreamBroker(url=calls.REDIS_URL, queue_name="taskiq")


@broker.on_event(TaskiqEvents.WORKER_STARTUP)
async def start(state: TaskiqState) -> None:
    """Open the client."""
    state.client = calls.async_client()


@broker.task(task_name="request")
async def request(order_id: str) -> None:
    """Take the job."""
    await assess.kiq(order_id)


@broker.task(task_name="assess")
async def assess(order_id: str) -> None:
    """Read the order."""
    await calls.make_calls_async(broker.state.client, "assess", order_id)
    await submit.kiq(order_id)


@broker.task(task_name="submit")
async def submit(order_id: str) -> None:
    """Refund it."""
    await calls.make_calls_async(broker.state.client, "submit", order_id)
    if calls.STEPS["confirm"]:
        await confirm.kiq(order_id)


@broker.task(task_name="confirm")
async def confirm(order_id: str) -> None:
    """Check that it is refunded."""
    await calls.make_calls_async(broker.state.client, "confirm", order_id)


async def send(orders: list[str]) -> None:
    """Send the jobs."""
    await broker.startup()
    for each in orders:
        await request.kiq(each)
    await broker.shutdown()


if __name__ == "__main__":
    asyncio.run(send(calls.order_ids(sys.argv[1:])))
