"""Counts what one worker process does, until its next heartbeat writes the counts to the ledger."""

from __future__ import annotations

import bisect
import threading
from collections import Counter
from collections.abc import Mapping

#: Limits of the classes of durations of calls to Wix, ms; the last class has none.
CLASSES_MS = (50, 100, 250, 500, 1_000, 2_500, 5_000, 10_000)
_WITHIN = tuple(f"within:{limit}" for limit in (*CLASSES_MS, "more"))


class Meter:
    """Counters, for people who watch: a worker that is killed loses those of two seconds."""

    def __init__(self) -> None:
        self._counts: Counter[str] = Counter()
        self._lock = threading.Lock()

    def saw_call(self, result: str, seconds: float) -> None:
        """Count a call to Wix: its HTTP status, or the type of its error, and how long it took."""
        ms = round(seconds * 1000)
        within, ended = _WITHIN[bisect.bisect_left(CLASSES_MS, ms)], f"wix:{result}"
        with self._lock:
            counts = self._counts
            counts[ended] += 1
            counts[within] += 1
            counts["wix_ms"] += ms

    def add(self, counts: Mapping[str, int]) -> None:
        """Add to the counters."""
        with self._lock:
            for name, number in counts.items():
                self._counts[name] += number

    def take(self) -> dict[str, int]:
        """Return the counters and start again at 0."""
        with self._lock:
            taken, self._counts = self._counts, Counter()
        return dict(taken)
