"""The heartbeat: it tells the other workers that this one lives, as long as its threads move."""

from __future__ import annotations

import time
from collections.abc import Callable

from worker.observability.events import log_event
from worker.queue.broker import Broker
from worker.queue.middleware import Running

#: How much longer than a call to Wix a step may show no progress. Besides calling Wix it only talks
#: to Redis, and while Redis does not answer nobody takes over.
STUCK_AFTER_S = 60.0


class Heart:
    """Writes the heartbeat, unless a step shows no sign of life: then others must take over."""

    def __init__(
        self,
        broker: Broker,
        running: Running,
        *,
        longest_call_s: float,
        took: Callable[[float], None] = lambda _seconds: None,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._broker = broker
        self._running = running
        self._stuck_after_s = STUCK_AFTER_S + longest_call_s
        #: Is told how long each heartbeat took.
        self._took = took
        self._monotonic = monotonic
        self._turned_s: float | None = None
        self._last_s: float | None = None
        self._is_told = False

    def beat(self) -> None:
        """Write one heartbeat.

        Raises:
            ConnectionClosed: Redis did not answer.
        """
        self._turned_s = self._monotonic()
        if silent := self.stuck():
            if not self._is_told:
                thread, silent_s = silent
                log_event("worker.stuck", thread=thread, silent_s=round(silent_s))
            self._is_told = True
            return
        self._is_told = False
        started_s = self._monotonic()
        self._broker.beat()
        self._last_s = self._monotonic()
        self._took(self._last_s - started_s)

    def stuck(self) -> tuple[str, float] | None:
        """Return the thread whose step takes too long, and for how long; None if there is none."""
        most = self._running.most_silent()
        return most if most and most[1] > self._stuck_after_s else None

    def moves(self) -> bool:
        """Whether the threads move: the heart tries to beat, and no step takes too long.

        It says nothing of Redis: a worker that waits for it need not be restarted.
        """
        turned_s = self._turned_s
        is_turning = turned_s is None or self._monotonic() - turned_s <= STUCK_AFTER_S
        return is_turning and self.stuck() is None

    def silent_s(self) -> float | None:
        """Return how long ago the last heartbeat was written; None before the first."""
        return None if self._last_s is None else self._monotonic() - self._last_s
