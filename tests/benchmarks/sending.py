"""How many jobs `request_many` sends in the time of one `request`.

`python -m tests.benchmarks.sending` measures both in turns, in one run and against the same server
on this machine, where a round trip takes the least time: over a network the ratio is higher.
"""

from __future__ import annotations

import argparse
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from statistics import median

from worker.demo.embedded import embedded_server
from worker.upstream import RefundQueue

#: Jobs in each round.
ONE_BY_ONE, AT_ONCE = 500, 20_000


def _jobs(count: int) -> Iterator[dict[str, str]]:
    store = str(uuid.uuid4())
    for _ in range(count):
        order = str(uuid.uuid4())
        yield {
            "refund_id": f"rf-{order}",
            "store_id": store,
            "order_id": order,
            "reason": "damaged",
        }


def _us_per_job(act: Callable[[list[dict[str, str]]], object], count: int) -> float:
    jobs = list(_jobs(count))
    started = time.perf_counter()
    act(jobs)
    return (time.perf_counter() - started) / count * 1e6


def measure(rounds: int) -> list[tuple[float, float]]:
    """Return microseconds per job, one by one and at once, for each round."""
    with embedded_server() as url, RefundQueue(url) as queue:

        def one_by_one(jobs: list[dict[str, str]]) -> None:
            for job in jobs:
                queue.request(**job)

        one_by_one(list(_jobs(10)))
        return [
            (_us_per_job(one_by_one, ONE_BY_ONE), _us_per_job(queue.request_many, AT_ONCE))
            for _ in range(rounds)
        ]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=7)
    found = measure(parser.parse_args().rounds)
    for one, many in found:
        sys.stdout.write(f"{one:6.1f} us one by one, {many:5.1f} us at once: {one / many:.1f} x\n")
    sys.stdout.write(f"median ratio: {median(one / many for one, many in found):.1f} x\n")


if __name__ == "__main__":
    main()
