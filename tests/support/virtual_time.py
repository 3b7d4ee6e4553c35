"""Time that passes only when a test says so: for the ledger, the worker and the simulator alike."""

from __future__ import annotations

import hashlib

from tests.support.rig import Rig
from worker.queue.broker import QUEUES

_TIME = "local time = redis.call('TIME')\n"
_VIRTUAL = """local virtual = tonumber(redis.call('GET', ns .. ':test_clock_ms'))
local time = {math.floor(virtual / 1000), virtual % 1000 * 1000}
"""
START_MS = 1_800_000_000_000


class VirtualTime:
    """The time of a rig; its scheduler's ticks are made as time passes."""

    def __init__(self, rig: Rig, *, tick_ms: int = 200) -> None:
        self._rig, self._tick_ms = rig, tick_ms
        self.now_ms = START_MS
        for script in (*rig.ledger._scripts.values(), rig.broker._queue_script):
            text = str(script.script)
            assert text.count(_TIME) == 1, "the scripts read the time in another way now"
            script.script = text.replace(_TIME, _VIRTUAL)
            script.sha = hashlib.sha1(script.script.encode()).hexdigest()  # noqa: S324 - as Redis
        rig.simulator.clock_ms = lambda: self.now_ms
        rig.ledger._wall = lambda: self.now_ms / 1000
        rig.redis.delete(rig.key("clock"))
        self.pass_ms(0)
        rig.broker.beat()

    def pass_ms(self, ms: int) -> None:
        """Let time pass, without a tick."""
        self.now_ms += ms
        self._rig.redis.set(self._rig.key("test_clock_ms"), self.now_ms)

    def run_for_ms(self, ms: int) -> None:
        """Run steps, ticks and looks until that time has passed; a rig's checkpoints take time.

        When nothing is queued, nothing happens before the next tick.
        """
        end_ms, tick_at_ms = self.now_ms + ms, self.now_ms
        while self.now_ms < end_ms:
            if self.now_ms >= tick_at_ms:
                tick_at_ms = self.now_ms + self._tick_ms
                self._rig.broker.beat()
                self._rig.ledger.wake_due("rig", lead_ms=60_000)
                self._rig.watch.turn(lambda: False)
            queue = next((queue for queue in QUEUES if self._rig._waiting(queue)), None)
            if queue is None:
                self.pass_ms(min(tick_at_ms, end_ms) - self.now_ms)
            else:
                self._rig._one(queue)
