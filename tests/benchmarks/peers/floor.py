"""The floor: threads that make the calls of a refund, without a queue. It reads orders from stdin.

A line of the standard input is an order; so it can be given all orders at once, or one at a time.
"""

from __future__ import annotations

import os
import sys
from concurrent.futures import ThreadPoolExecutor

from tests.benchmarks.peers import calls


def refund(order_id: str) -> None:
    """Make all calls of one refund."""
    for step in calls.STEPS:
        calls.make_calls(step, order_id)


if __name__ == "__main__":
    with ThreadPoolExecutor(int(os.environ.get("BENCH_THREADS", "8"))) as pool:
        for line in sys.stdin:
            pool.submit(refund, line.strip())
