"""The metrics of a program: of its one process, or of all of its children."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from importlib.metadata import version
from typing import Any, NamedTuple

from worker.observability.counts import CLASSES_S, SEPARATOR, Snapshot, added
from worker.observability.events import EVENTS
from worker.operations.metrics.of_ledger import Sample


class Report(NamedTuple):
    """What a process says about itself."""

    counts: Snapshot
    threads: int = 0
    busy: int = 0
    silent_s: float | None = None
    """How long ago its last heartbeat was; None before the first."""
    is_healthy: bool = True
    """Whether its threads move."""
    is_ready: bool = False
    """Whether it works: Redis answers, the installation is fit, and it is not about to end."""

    def fields(self) -> dict[str, Any]:
        """Return it as JSON will hold it."""
        return self._asdict()


class Histogram(NamedTuple):
    """One histogram."""

    name: str
    labels: tuple[str, ...]
    buckets: list[tuple[str, float]]
    """For each limit, how many were not above it."""
    sum: float


def program_samples(reports: Iterable[Report], ended: Snapshot) -> Iterator[Sample]:
    """Yield all values but those of histograms; *ended* is what processes counted that ended."""
    known = list(reports)
    yield Sample("refunds_worker_info", 1, (version("wix-refund-worker"),))
    yield Sample("refunds_worker_processes", len(known))
    yield Sample("refunds_worker_threads", sum(report.threads for report in known))
    yield Sample("refunds_worker_threads_busy", sum(report.busy for report in known))
    silent = [report.silent_s for report in known if report.silent_s is not None]
    yield Sample("refunds_worker_heartbeat_age_seconds", max(silent, default=0.0))
    # A counter that first appears with 1 would never have increased.
    zero = {f"refunds_worker_events_total{SEPARATOR}{event}": [0.0] for event in EVENTS}
    zero["refunds_worker_log_lines_dropped_total"] = [0.0]
    for key, numbers in added([zero, ended, *(report.counts for report in known)]).items():
        name, *labels = key.split(SEPARATOR)
        if name not in CLASSES_S:
            yield Sample(name, numbers[0], tuple(labels))


def program_histograms(reports: Iterable[Report], ended: Snapshot) -> Iterator[Histogram]:
    """Yield the histograms."""
    for key, numbers in added([ended, *(report.counts for report in reports)]).items():
        name, *labels = key.split(SEPARATOR)
        if name in CLASSES_S:
            yield Histogram(name, tuple(labels), _cumulated(CLASSES_S[name], numbers), numbers[-1])


def _cumulated(limits: Iterable[float], numbers: list[float]) -> list[tuple[str, float]]:
    total, buckets = 0.0, []
    for limit, count in zip([*map(str, limits), "+Inf"], numbers, strict=False):
        total += count
        buckets.append((limit, total))
    return buckets


def report_from(fields: Mapping[str, Any]) -> Report:
    """Return a report from JSON; fields of another version are ignored."""
    return Report(**{name: fields[name] for name in Report._fields if name in fields})
