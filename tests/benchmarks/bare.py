"""What the calls of a refund cost at least, with and without three bare round trips to Redis.

`python -m tests.benchmarks.bare`: CPU time per 1,000 refunds, of one thread and of the server. The
worker writes three times for a standard refund: after the first step, before the refund call and at
the end. Nothing that does the same in Python can take less than this.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from statistics import median
from typing import NamedTuple

import psutil

from tests.benchmarks.contenders import KEY, STORES
from tests.benchmarks.peers import calls
from tests.benchmarks.world import World, world
from worker.ledger.connection import redis_client
from worker.wix.client import ClientFactory

#: What a step says to the ledger, and what it gets back, has about this many characters.
TEXT = "x" * 2_000
ROUNDS, REFUNDS = 5, 500
WRITES = 3


class Cost(NamedTuple):
    """CPU time per 1,000 refunds, in seconds."""

    thread_s: float
    server_s: float


def by_httpx(order: str) -> None:
    """Make the calls of one refund as the floor does."""
    for step in ("assess", "submit"):
        calls.make_calls(step, order)


def by_our_client(place: World) -> Callable[[str], None]:
    """Return what makes the calls of one refund as the worker does, and reads the answers."""
    factory = ClientFactory(
        place.wix_url, connect_timeout_ms=5_000, read_timeout_ms=10_000, total_timeout_ms=15_000
    )

    def refund(order: str) -> None:
        wix = factory.store(STORES[0], KEY, before_mutation=lambda: None)
        wix.get_order(order)
        wix.list_transactions(order)
        wix.get_order_refundability(order)
        paid = {"paymentId": f"pay-{order}", "amount": {"amount": "101.40"}}
        wix.submit_refund(order, {"paymentRefunds": [paid], "customerReason": order})

    return refund


def with_writes(place: World, refund: Callable[[str], None]) -> Callable[[str], None]:
    """Return the same with three scripts that do nothing."""
    script = redis_client(place.redis_url).register_script("return ARGV[1]")

    def written(order: str) -> None:
        refund(order)
        for _ in range(WRITES):
            script(keys=["{refunds}"], args=[TEXT])

    return written


def cost(place: World, refund: Callable[[str], None], series: int) -> Cost:
    """Measure one round."""
    place.reset()
    server = psutil.Process(place.redis.info("server")["process_id"])
    orders = [calls.order_id(series, number) for number in range(REFUNDS)]
    began, before = time.thread_time(), server.cpu_times()
    for order in orders:
        refund(order)
    took, after = time.thread_time() - began, server.cpu_times()
    served = after.user + after.system - before.user - before.system
    return Cost(took / REFUNDS * 1000, served / REFUNDS * 1000)


def main() -> int:
    """Measure in turns, and print the medians."""
    with world() as place:
        calls.WIX_URL = place.wix_url
        ways = {
            "4 calls by httpx": by_httpx,
            "4 calls by our client": by_our_client(place),
            "... and 3 bare scripts": with_writes(place, by_our_client(place)),
        }
        found: dict[str, list[Cost]] = {name: [] for name in ways}
        for number in range(ROUNDS):
            for name, refund in ways.items():
                found[name].append(cost(place, refund, number + 1))
    for name, each in found.items():
        thread_s, server_s = (median(one[at] for one in each) for at in (0, 1))
        sys.stdout.write(f"{name}: thread {thread_s:.2f} s, server {server_s:.2f} s\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
