"""What one process has counted since its start; a parent adds up what its children report."""

from __future__ import annotations

import bisect
import threading
from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Any

#: Limits of the classes of each histogram, in seconds; one more class has no limit.
CLASSES_S: Mapping[str, tuple[float, ...]] = MappingProxyType(
    {
        "refunds_worker_step_seconds": (0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30),
        "refunds_worker_wix_call_seconds": (0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10),
        "refunds_worker_redis_seconds": (0.001, 0.0025, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5),
    }
)
#: Between the name of a metric and the values of its labels.
SEPARATOR = "\x1f"

#: For each metric with its labels: a number, or of a histogram the count of each class and the sum.
Snapshot = Mapping[str, list[float]]


class Counts:
    """Counters and histograms. Their labels have few values: never an id."""

    def __init__(self) -> None:
        self._counted: dict[str, list[float]] = {}
        self._lock = threading.Lock()

    def count(self, name: str, *labels: str, by: float = 1) -> None:
        """Add to a counter."""
        key = SEPARATOR.join((name, *labels))
        with self._lock:
            self._counted.setdefault(key, [0.0])[0] += by

    def observe(self, name: str, seconds: float, *labels: str) -> None:
        """Add a duration to a histogram."""
        limits = CLASSES_S[name]
        key = SEPARATOR.join((name, *labels))
        with self._lock:
            counted = self._counted.setdefault(key, [0.0] * (len(limits) + 2))
            counted[bisect.bisect_left(limits, seconds)] += 1
            counted[-1] += seconds

    def saw_event(self, event: str, fields: Mapping[str, Any]) -> None:
        """Count a log event, and how long the step took that it is about."""
        self.count("refunds_worker_events_total", event)
        if "duration_ms" in fields and event.startswith("step."):
            transition = str(fields.get("transition"))
            self.count("refunds_worker_steps_total", transition, event.removeprefix("step."))
            seconds = float(fields["duration_ms"]) / 1000
            self.observe("refunds_worker_step_seconds", seconds, transition)

    def saw_call(self, endpoint: str, result: str, seconds: float) -> None:
        """Count a call to Wix: its HTTP status or the type of its error, and how long it took."""
        self.count("refunds_worker_wix_calls_total", endpoint, result)
        self.observe("refunds_worker_wix_call_seconds", seconds, endpoint)

    def snapshot(self) -> Snapshot:
        """Return all that was counted."""
        with self._lock:
            return {key: list(numbers) for key, numbers in self._counted.items()}


def added(snapshots: Iterable[Snapshot]) -> Snapshot:
    """Return the sums."""
    total: dict[str, list[float]] = {}
    for snapshot in snapshots:
        for key, numbers in snapshot.items():
            known = total.get(key)
            total[key] = (
                [a + b for a, b in zip(known, numbers, strict=True)] if known else list(numbers)
            )
    return total
