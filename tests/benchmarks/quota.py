"""How much of a store's quota at Wix is used, and how often Wix must refuse a call."""

from __future__ import annotations

import threading
import time
from typing import NamedTuple

from tests.benchmarks.contenders import STORES, Ours, Size, send_one
from tests.benchmarks.peers.calls import order_id
from tests.benchmarks.world import World
from worker.client import RefundClient

#: Calls per minute and store.
PER_MINUTE = 200
DELAY_MS = 50


class Drain(NamedTuple):
    """How a backlog of one store was worked off."""

    used: float
    """Calls that Wix answered, as a part of the quota of that time."""
    refused: int
    """Answers with 429."""


def run(world: World, size: Size, *, minutes: float, sliding: bool) -> Drain:
    """Work off more refunds of one store than its quota allows; the setting is the quota."""
    stub = {"per_minute": PER_MINUTE, "sliding": int(sliding)}
    world.reset(after=size.after, delay_ms=DELAY_MS, **stub)
    client = RefundClient(world.redis_url)
    for number in range(int(minutes * PER_MINUTE)):
        send_one(client, STORES[0], order_id(3_000_000, number))
    group = Ours({"REFUNDS_STORE_CALLS_PER_MIN": str(PER_MINUTE)}).start(world, size)
    pause = threading.Event()
    try:
        while not world.counts().get("calls"):
            pause.wait(0.05)
        started_s = time.monotonic()
        pause.wait(minutes * 60)
        counts, spent_s = world.counts(), time.monotonic() - started_s
    finally:
        group.end()
    return Drain(counts["calls"] / (PER_MINUTE * spent_s / 60), counts.get("refused", 0))
