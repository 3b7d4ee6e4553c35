"""A worker in a process of its own that starts fast and can be killed."""

from __future__ import annotations

import atexit
import functools
import multiprocessing
import os
import shutil
import signal
import tempfile
import threading
import time
from collections.abc import Callable, Mapping
from multiprocessing import forkserver
from multiprocessing.process import BaseProcess
from pathlib import Path

import dramatiq.worker
import pytest

from config.loading import load_settings
from tests.chaos.steppable import make_steppable
from tests.support.processes import COVERAGE
from worker.__main__ import run_worker, served_cells
from worker.app import Seams, build
from worker.cells.settings import settings_of
from worker.observability.logs import configure_logs
from worker.process.stopping import Stop

#: Short times, so that a run is short; the kills are real.
QUICK = {
    "REFUNDS_WORKER_BEAT_MS": "100",
    "REFUNDS_WORKER_DEAD_AFTER_MS": "700",
    "REFUNDS_RECONCILE_EVERY_MS": "50",
    "REFUNDS_SCHEDULE_TICK_MS": "20",
    "REFUNDS_SETTLE_DELAY_MS": "1500",
    "REFUNDS_WIX_CONNECT_TIMEOUT_MS": "400",
    "REFUNDS_WIX_READ_TIMEOUT_MS": "400",
    "REFUNDS_WIX_TOTAL_TIMEOUT_MS": "600",
    "REFUNDS_RETRY_FIRST_MS": "20",
    "REFUNDS_RETRY_CAP_MS": "200",
    "REFUNDS_RETRY_FOR_S": "60",
    "REFUNDS_CONFIRM_FIRST_MS": "20",
    "REFUNDS_CONFIRM_CAP_MS": "100",
    "REFUNDS_THREADS": "2",
    "REFUNDS_STORE_CALLS_PER_MIN": "0",
}
#: How long a thread that lost Redis waits before it fetches again; dramatiq reads it when imported.
RESTART_DELAY_MS = "dramatiq_restart_delay"
_CONTEXT = multiprocessing.get_context("forkserver")
_CONTEXT.set_forkserver_preload(["tests.chaos.child"])


@functools.cache
def _start_server() -> None:
    """Start what forks the processes, without coverage: it inherits our environment."""
    with pytest.MonkeyPatch.context() as patch:
        for name in COVERAGE:
            patch.delenv(name, raising=False)
        forkserver.ensure_running()


def fork(target: Callable[..., object], *arguments: object) -> BaseProcess:
    """Start a process that has imported everything already."""
    _start_server()
    process = _CONTEXT.Process(target=target, args=arguments, daemon=True)
    process.start()
    return process


def _work(
    environ: Mapping[str, str],
    crash_at: tuple[str, int] | None,
    skew_s: int,
    number: signal.Signals,
    log: Path | None,
) -> None:
    out = (log or Path(os.devnull)).open("w")  # open as long as the process runs
    configure_logs("json", "info" if log else "error", out)
    stop = Stop()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    left = [crash_at[1]] if crash_at else [0]
    skewed = [skew_s == 0]

    def at(place: str) -> None:
        if not skewed[0]:
            skewed[0] = True
            _skew(skew_s)
        if crash_at and place == crash_at[0]:
            left[0] -= 1
            if left[0] == 0:
                # To this thread: a signal to the process would take effect a little later.
                signal.pthread_kill(threading.get_ident(), number)

    if delay_ms := environ.get(RESTART_DELAY_MS):
        dramatiq.worker.CONSUMER_RESTART_DELAY_SECS = int(delay_ms) / 1000
    given = load_settings(environ)
    settings = settings_of(given, served_cells(given)[0], given.cells)
    app = build(settings, Seams(checkpoint=at))
    make_steppable(app.broker, app.ledger, app.stores)
    os._exit(run_worker(app, stop, lambda: True))


def _skew(skew_s: int) -> None:
    """Set this program's wall clock off from its first step on, as if NTP had failed.

    Not earlier, because a worker whose clock is off refuses to start.
    """
    real_s, real_ns = time.time, time.time_ns
    time.time = lambda: real_s() + skew_s
    time.time_ns = lambda: real_ns() + skew_s * 10**9


@functools.cache
def _state() -> Path:
    place = tempfile.mkdtemp(prefix="refunds-state-")
    atexit.register(shutil.rmtree, place, ignore_errors=True)
    return Path(place)


def start(
    environ: Mapping[str, str],
    crash_at: tuple[str, int] | None = None,
    *,
    skew_s: int = 0,
    crash_by: signal.Signals = signal.SIGKILL,
    log: Path | None = None,
) -> BaseProcess:
    """Start a worker; with *crash_at* it kills itself at the nth visit of a named point.

    If *crash_by* is SIGSTOP, it freezes there. With cells it serves the first one that the settings
    name. It logs to *log*.
    """
    # The server may be the tests' own: what a worker remembers must not outlive its namespace.
    state = _state() / environ.get("REFUNDS_NAMESPACE", "refunds")
    environ = {"REFUNDS_STATE_DIR": str(state), **environ}
    return fork(_work, environ, crash_at, skew_s, crash_by, log)


def end(child: BaseProcess) -> None:
    """Kill the worker, if it is still running."""
    child.kill()
    child.join()
