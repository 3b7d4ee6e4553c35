"""How long a refund takes at a steady rate, from sending its job to the answer to its last call."""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Callable, Iterable
from typing import NamedTuple

from tests.benchmarks.contenders import STORES, Contender, Floor, Size, send_one
from tests.benchmarks.peers.calls import order_id
from tests.benchmarks.throughput import warm_up
from tests.benchmarks.world import Group, World
from worker.client import RefundClient

_series = itertools.count(1_000_000)
#: After the last job, how long a refund may take.
LIMIT_S = 60


class Times(NamedTuple):
    """Milliseconds."""

    p50: float
    p95: float
    p99: float


def run(
    contender: Contender, world: World, size: Size, *, per_s: float, count: int, delay_ms: int
) -> Times:
    """Send *count* refunds, so many per second, while each call takes *delay_ms*."""
    world.reset(after=size.after, delay_ms=delay_ms)
    group = contender.start(world, size)
    try:
        warm_up(contender, world, group)
        return paced(world, sender(contender, world, group), per_s=per_s, count=count)
    finally:
        group.end()


def sender(contender: Contender, world: World, group: Group) -> Callable[[str, int], None]:
    """Return a function that sends one order at once."""
    if isinstance(contender, Floor):

        def to_a_program(order: str, number: int) -> None:
            contender.send_one(group, order, number)
            for program in group.programs:
                assert program.stdin is not None
                program.stdin.flush()

        return to_a_program
    client = RefundClient(world.redis_url)
    return lambda order, number: send_one(client, STORES[number % len(STORES)], order)


def paced(world: World, send: Callable[[str, int], None], *, per_s: float, count: int) -> Times:
    """Send orders at a steady pace, and return how long they took."""
    series, pause = next(_series), threading.Event()
    sent_s: dict[str, float] = {}
    started_s = time.monotonic()
    for number in range(count):
        pause.wait(max(0.0, started_s + number / per_s - time.monotonic()))
        order = order_id(series, number)
        sent_s[order] = time.monotonic()
        send(order, number)
    until_s = time.monotonic() + LIMIT_S
    while missing := sent_s.keys() - world.finished_s().keys():
        if time.monotonic() > until_s:
            raise RuntimeError(f"{len(missing)} of {count} refunds took over {LIMIT_S} s")
        pause.wait(0.1)
    finished_s = world.finished_s()
    return times(finished_s[order] - since_s for order, since_s in sent_s.items())


def times(spent_s: Iterable[float]) -> Times:
    """Return the percentiles in milliseconds."""
    ordered = sorted(each * 1000 for each in spent_s)

    def percentile(part: float) -> float:
        return ordered[min(len(ordered) - 1, int(part * len(ordered)))]

    return Times(percentile(0.5), percentile(0.95), percentile(0.99))
