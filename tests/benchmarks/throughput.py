"""Refunds per second, CPU time and the load of Redis, when Wix answers at once."""

from __future__ import annotations

import itertools
import signal
import threading
import time
from typing import Any, NamedTuple

from tests.benchmarks.contenders import Contender, Size
from tests.benchmarks.world import Group, World

#: Refunds before the measurement, so that everybody has connected and imported everything.
WARM_UP = 20
#: How long a contender may take to start and to warm up.
START_S = 180
#: What is still written after the last call belongs to the refund, too.
REST_S = 0.5
_series = itertools.count(1)


class Round(NamedTuple):
    """What one round of one contender showed."""

    per_s: float
    """Refunds per second."""
    cpu_s_per_1000: float
    """CPU seconds of the worker's processes per 1,000 refunds."""
    commands: float
    """Commands of Redis per refund, those in scripts included."""
    round_trips: float
    """Reads of Redis from a connection, per refund."""
    doubled: int
    """Orders that were refunded twice: some queues repeat a task whose worker stood still."""


def run(contender: Contender, world: World, size: Size, count: int) -> Round:
    """Run one round on an empty server."""
    world.reset(after=size.after)
    return measure(contender, world, size, count)


def measure(contender: Contender, world: World, size: Size, count: int) -> Round:
    """Run one round: the contender is stopped while its orders are sent, then it works them off."""
    group = contender.start(world, size)
    try:
        warm_up(contender, world, group)
        group.signal(signal.SIGSTOP)
        contender.send(world, group, next(_series), count)
        load, cpu_s = redis_load(world), group.cpu_s()
        started_s = time.monotonic()
        group.signal(signal.SIGCONT)
        ended_s = world.wait_for(WARM_UP + count)
        threading.Event().wait(REST_S)
        loaded, used_s = redis_load(world), group.cpu_s()
        counts = world.counts()
    finally:
        group.end()
    return Round(
        per_s=count / (ended_s - started_s),
        cpu_s_per_1000=(used_s - cpu_s) / count * 1000,
        commands=(loaded["commands"] - load["commands"]) / count,
        round_trips=(loaded["reads"] - load["reads"]) / count,
        doubled=counts.get("refunded twice", 0),
    )


def warm_up(contender: Contender, world: World, group: Group) -> None:
    """Let the contender finish some refunds."""
    contender.send(world, group, next(_series), WARM_UP)
    world.wait_for(WARM_UP, limit_s=START_S, group=group)
    threading.Event().wait(REST_S)


def redis_load(world: World) -> dict[str, Any]:
    """Return the number of commands and of reads so far."""
    stats = world.redis.info("commandstats")
    commands = sum(each["calls"] for each in stats.values())
    return {"commands": commands, "reads": world.redis.info("stats")["total_reads_processed"]}
