"""The heartbeat that tells other workers that this one lives."""

from __future__ import annotations

import threading
from collections.abc import Callable


class Heart:
    """Beats, and knows whether the beat was ever in doubt."""

    def __init__(
        self, beat: Callable[[], None], *, dead_after_ms: int, monotonic: Callable[[], float]
    ) -> None:
        self._beat = beat
        # Half of what others wait: in doubt long before anybody takes our work.
        self._limit_s = dead_after_ms / 2000
        self._monotonic = monotonic
        self._last = float("-inf")
        self._doubted_until = float("-inf")
        self._lock = threading.Lock()

    def beat(self) -> None:
        """Beat once; only an answer counts, from the moment it was asked for.

        Raises:
            ConnectionClosed: Redis did not answer.
        """
        asked = self._monotonic()
        self._beat()
        with self._lock:
            if asked - self._last > self._limit_s:
                self._doubted_until = self._monotonic()
            self._last = asked

    def is_surely_alive(self, since: float) -> bool:
        """Whether no beat was late since that monotonic time, and none is now."""
        with self._lock:
            on_time = self._monotonic() - self._last <= self._limit_s
            return on_time and self._doubted_until <= since
