"""One refund whose worker is frozen at a place until another worker has done all the work."""

from __future__ import annotations

import os
import signal

from tests.chaos import child
from tests.chaos.bench import Bench, Point, Result
from tests.support.processes import is_stopped

FROZEN = "frozen"


def run_frozen(bench: Bench, point: Point) -> Result:
    """Freeze the worker; it continues, and finishes its step, when the refund has ended."""
    with bench.proxies():
        frozen = child.start(
            bench.environ, (point.kind, point.nth), crash_by=signal.Signals.SIGSTOP
        )
        workers = [frozen]
        pid = frozen.pid or 0
        try:
            bench.ask()
            bench.wait(lambda: is_stopped(pid) or bench.has_ended())
            struck = is_stopped(pid)
            workers.append(child.start(bench.environ))
            bench.wait(bench.has_ended)
            # It ends after its step.
            os.kill(pid, signal.SIGTERM)
            os.kill(pid, signal.SIGCONT)
            frozen.join()
            bench.wait(bench.is_clean)
        finally:
            for one in workers:
                child.end(one)
        return bench.result(point, struck=struck)
