"""How long 10,000 jobs wait until they are accepted, and what that costs.

`python -m tests.benchmarks.intake` measures it while nothing else is done (all stores are paused),
while the refunds are worked off, and while Wix does not answer: then every thread for steps waits.
"""

from __future__ import annotations

import argparse
import itertools
import signal
import sys
import threading
import time
from collections.abc import Iterator
from statistics import median
from typing import Any, NamedTuple

from tests.benchmarks.contenders import STORES, Ours, Size
from tests.benchmarks.peers.calls import order_id
from tests.benchmarks.throughput import WARM_UP, redis_load, warm_up
from tests.benchmarks.world import PATIENCE_S, World, world
from worker.upstream import RefundQueue

SCENES = ("paused", "working", "hanging")
#: How many stores the jobs belong to.
SENDERS = 20
#: Longer than a round takes.
HANG_MS = 60_000
_series = itertools.count(3_000_000)


class Round(NamedTuple):
    """What one round showed; CPU times and commands also count what steps do meanwhile."""

    seconds: float
    """From the moment that the worker goes on, until the last job is accepted."""
    us_per_job: float
    """CPU time of the worker's processes."""
    server_us_per_job: float
    """CPU time of Redis."""
    commands_per_job: float
    """Commands of Redis, those in scripts included."""
    vs_sending: float
    """The worker's CPU time for a job, as a multiple of what it took to send it."""


def _jobs(count: int) -> Iterator[dict[str, str]]:
    series = next(_series)
    for number in range(count):
        order = order_id(series, number)
        store = STORES[number % SENDERS]
        yield {"refund_id": order, "store_id": store, "order_id": order, "reason": "damaged"}


def _server_s(world: World) -> float:
    used: dict[str, float] = world.redis.info("cpu")
    return used["used_cpu_user"] + used["used_cpu_sys"]


def run(scene: str, world: World, size: Size, count: int) -> Round:
    """Let a worker accept so many jobs that are on the queue when it goes on."""
    world.reset(after=size.after)
    contender = Ours()
    group = contender.start(world, size)
    try:
        warm_up(contender, world, group)
        group.signal(signal.SIGSTOP)
        if scene == "paused":
            world.redis.hset("{refunds}:paused", "*", "{}")
        if scene == "hanging":
            world.set_stub(after=size.after, delay_ms=HANG_MS)
        sent_s = time.process_time()
        with RefundQueue(world.redis_url) as queue:
            queue.request_many(_jobs(count))
        sent_s = time.process_time() - sent_s
        load, cpu_s, server_s = redis_load(world), group.cpu_s(), _server_s(world)
        started_s = time.monotonic()
        group.signal(signal.SIGCONT)
        _wait_until_accepted(world, WARM_UP + count)
        seconds = time.monotonic() - started_s
        used_s, served_s, loaded = group.cpu_s(), _server_s(world), redis_load(world)
    finally:
        group.end()
    return Round(
        seconds=seconds,
        us_per_job=1e6 * (used_s - cpu_s) / count,
        server_us_per_job=1e6 * (served_s - server_s) / count,
        commands_per_job=(loaded["commands"] - load["commands"]) / count,
        vs_sending=(used_s - cpu_s) / sent_s,
    )


def _wait_until_accepted(world: World, count: int) -> None:
    until_s, pause = time.monotonic() + PATIENCE_S, threading.Event()
    redis: Any = world.redis
    while (found := redis.zcard("{refunds}:accepted")) < count:
        if time.monotonic() > until_s:
            raise RuntimeError(f"{found} of {count} jobs were accepted")
        pause.wait(0.01)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--jobs", type=int, default=10_000)
    parser.add_argument("--scene", choices=SCENES, action="append")
    given = parser.parse_args()
    found: dict[str, list[Round]] = {scene: [] for scene in given.scene or SCENES}
    with world() as place:
        for number in range(given.rounds):
            for scene, rounds in found.items():
                rounds.append(run(scene, place, Size(calls=4), given.jobs))
                sys.stderr.write(f"round {number + 1}: {scene} {rounds[-1]}\n")
    for scene, rounds in found.items():
        medians = {name: median(getattr(one, name) for one in rounds) for name in Round._fields}
        shown = ", ".join(f"{name} {value:.1f}" for name, value in medians.items())
        sys.stdout.write(f"{scene}: {shown}\n")


if __name__ == "__main__":
    main()
