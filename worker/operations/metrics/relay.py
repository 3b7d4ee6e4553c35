"""Reports of child processes to their parent, which serves one port for all of them.

Each child has a pipe and writes one line a second. prometheus-client's own mode for several
processes keeps files of processes that have ended, and needs a directory that is emptied at each
start.
"""

from __future__ import annotations

import json
import os
import threading
import time
from collections.abc import Callable
from contextlib import suppress

from worker.observability.counts import Snapshot, added
from worker.operations.metrics.of_program import Report, report_from

#: How often a child reports.
EVERY_S = 1.0
#: A child that has not reported for so long does not move.
LATE_S = 30.0


class Reports:
    """What a parent knows of its children."""

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._lock = threading.Lock()
        #: By the pipe: when the last report came, and the report; of a new child an empty one.
        self._last: dict[int, tuple[float, Report]] = {}
        self._ended: Snapshot = {}

    def listen(self, descriptor: int) -> None:
        """Read the reports of one child until it ends, in a thread of its own."""
        self._last[descriptor] = (self._monotonic(), Report({}))
        threading.Thread(target=self._read, args=(descriptor,), name="reports", daemon=True).start()

    def _read(self, descriptor: int) -> None:
        with open(descriptor, encoding="utf-8") as lines, suppress(ValueError, OSError):
            for line in lines:
                with self._lock:
                    self._last[descriptor] = (self._monotonic(), report_from(json.loads(line)))
        with self._lock:
            # A counter must not fall back when its process ends.
            _, last = self._last.pop(descriptor)
            self._ended = added([self._ended, last.counts])

    def look(self) -> tuple[list[Report], Snapshot]:
        """Return the last report of each child as of now, and what the ended ones counted."""
        now_s = self._monotonic()
        with self._lock:
            reports = [_aged(report, now_s - at_s) for at_s, report in self._last.values()]
            return reports, self._ended


def _aged(report: Report, age_s: float) -> Report:
    """Return what a report says when it is so old: there was no later heartbeat."""
    if report.silent_s is not None:
        report = report._replace(silent_s=report.silent_s + age_s)
    return report if age_s <= LATE_S else report._replace(is_healthy=False, is_ready=False)


def report_to(descriptor: int, report: Callable[[], Report], is_over: threading.Event) -> None:
    """Write the reports of this process to its parent, in a thread of its own."""

    def run() -> None:
        with suppress(OSError):  # the parent has ended, and so will this process
            while True:
                left = f"{json.dumps(report().fields())}\n".encode()
                while left:
                    left = left[os.write(descriptor, left) :]
                if is_over.wait(EVERY_S):
                    threading.Event().wait(EVERY_S)

    threading.Thread(target=run, name="report", daemon=True).start()
