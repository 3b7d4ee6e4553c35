"""A chain of saq jobs."""

from __future__ import annotations

import asyncio
import os
import sys
from typing import Any

from saq import Queue

from tests.benchmarks.peers import calls

queue = Queue.from_url(calls.REDIS_URL, name="saq")


async def request(_: dict[str, Any], *, order_id: str) -> None:
    """Take the job."""
    await queue.enqueue("assess", order_id=order_id)


async def assess(context: dict[str, Any], *, order_id: str) -> None:
    """Read the order."""
    await calls.make_calls_async(context["client"], "assess", order_id)
    await queue.enqueue("submit", order_id=order_id)


async def submit(context: dict[str, Any], *, order_id: str) -> None:
    """Refund it."""
    await calls.make_calls_async(context["client"], "submit", order_id)
    if calls.STEPS["confirm"]:
        await queue.enqueue("confirm", order_id=order_id)


async def confirm(context: dict[str, Any], *, order_id: str) -> None:
    """Check that it is refunded."""
    await calls.make_calls_async(context["client"], "confirm", order_id)


async def start(context: dict[str, Any]) -> None:
    """Open the client."""
    context["client"] = calls.async_client()


settings = {
    "queue": queue,
    "functions": [request, assess, submit, confirm],
    "concurrency": int(os.environ.get("BENCH_THREADS", "8")),
    "startup": start,
}


async def send(orders: list[str]) -> None:
    """Send the jobs."""
    await queue.connect()
    for each in orders:
        await queue.enqueue("request", order_id=each)
    await queue.disconnect()


if __name__ == "__main__":
    asyncio.run(send(calls.order_ids(sys.argv[1:])))
