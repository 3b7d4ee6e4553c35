"""How much longer the refunds of a quiet store take beside busy ones.

No store has a rate here: a rate would hold the busy ones back, whatever the queue does.
"""

from __future__ import annotations

import itertools
import signal
import threading
from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple

from tests.benchmarks.contenders import STORES, Ours, Size, send_one
from tests.benchmarks.latency import paced
from tests.benchmarks.peers.calls import order_id
from tests.benchmarks.throughput import WARM_UP, warm_up
from tests.benchmarks.world import PATIENCE_S, World
from worker.client import RefundClient

#: The quiet store is none of the busy ones.
QUIET = STORES[-1]
DELAY_MS = 50
_series = itertools.count(2_000_000)


class Scene(NamedTuple):
    """What the busy stores have in front of the quiet one."""

    stores: int
    accepted: bool
    """Whether their jobs are accepted already; otherwise they are in the queue of new jobs."""


SCENES: Mapping[str, Scene] = MappingProxyType(
    {
        "alone": Scene(0, accepted=True),
        "beside_1": Scene(1, accepted=True),
        "beside_5": Scene(5, accepted=True),
        "beside_20": Scene(20, accepted=True),
        "beside_intake": Scene(1, accepted=False),
    }
)


def run(scene: Scene, world: World, size: Size, *, busy: int, count: int, per_s: float) -> float:
    """Return how long the quiet store's refunds take beside *busy* others: the p95 in ms."""
    world.reset(after=size.after, delay_ms=DELAY_MS)
    contender = Ours()
    group = contender.start(world, size)
    client = RefundClient(world.redis_url)
    try:
        warm_up(contender, world, group)
        if not scene.accepted:
            group.signal(signal.SIGSTOP)
        sent = busy if scene.stores else 0
        series = next(_series)
        for number in range(sent):
            send_one(client, STORES[number % scene.stores], order_id(series, number))
        if scene.accepted:
            wait_for_outcomes(world, "refund.accepted", WARM_UP + sent)
        else:
            group.signal(signal.SIGCONT)
        return paced(
            world, lambda order, _: send_one(client, QUIET, order), per_s=per_s, count=count
        ).p95
    finally:
        group.end()


def wait_for_outcomes(world: World, kind: str, count: int) -> None:
    """Wait until upstream has been told so many outcomes of a kind."""
    found, last, pause = 0, "0", threading.Event()
    for _ in range(PATIENCE_S * 5):
        for entry, fields in world.redis.xrange("{refunds}:outcomes", min=f"({last}"):
            last, found = entry, found + (f'"{kind}"' in fields["event"])
        if found >= count:
            return
        pause.wait(0.2)
    raise RuntimeError(f"{found} of {count} outcomes {kind} were told")
