"""Metrics and health: serve them, or report them to the parent that does."""

from __future__ import annotations

import os
import subprocess
import threading
from collections.abc import Callable

from config.settings import Settings
from worker.app import App
from worker.cells.names import all_cells
from worker.cells.settings import settings_of
from worker.ledger.connection import redis_client
from worker.observability.counts import Counts, Snapshot, added
from worker.observability.events import log_event, observe
from worker.observability.log_queue import LogQueue
from worker.operations.metrics.exposition import Look, Page, serve
from worker.operations.metrics.of_cells import CellMetrics
from worker.operations.metrics.of_ledger import LedgerMetrics
from worker.operations.metrics.of_program import Report
from worker.operations.metrics.relay import Reports, report_to

#: The option of a child process that names its pipe.
REPORT = "--report"
#: How long Redis may take to answer a scrape.
ANSWER_S = 2.0


def report_of(app: App, stop: threading.Event, log: LogQueue | None) -> Report:
    """Return what this worker says about itself."""
    silent_s = app.heart.silent_s()
    is_fresh = silent_s is not None and silent_s * 1000 < app.settings.worker_dead_after_ms
    # The installation is known once all checks are passed.
    is_fit = bool(app.ledger.installation) and not app.ledger.is_other
    return Report(
        counts=_with_drops(app.counts, log),
        threads=app.settings.threads,
        busy=app.running.steps,
        silent_s=silent_s,
        is_healthy=app.heart.moves(),
        is_ready=is_fit and app.fitness.is_fit and is_fresh and not stop.is_set(),
    )


def _with_drops(counts: Counts, log: LogQueue | None) -> Snapshot:
    dropped = float(log.dropped) if log else 0.0
    return added([counts.snapshot(), {"refunds_worker_log_lines_dropped_total": [dropped]}])


def report_app(app: App, stop: threading.Event, log: LogQueue | None, pipe: int | None) -> None:
    """Report one worker: through the *pipe* to its parent, or else on the port of the settings."""
    if app.settings.metrics_port is None:
        return
    observe(app.counts.saw_event)

    def report() -> Report:
        return report_of(app, stop, log)

    if pipe is not None:
        report_to(pipe, report, stop)
    else:
        serve_metrics(app.settings, lambda: ([report()], {}))


def report_children(settings: Settings, log: LogQueue | None) -> Callable[[int], None] | None:
    """Serve the reports of children; returns what takes the pipe of a new child."""
    if settings.metrics_port is None:
        return None
    counts, reports = Counts(), Reports()
    observe(counts.saw_event)

    def look() -> tuple[list[Report], Snapshot]:
        found, ended = reports.look()
        return found, added([ended, _with_drops(counts, log)])

    serve_metrics(settings, look)
    return reports.listen


def serve_metrics(settings: Settings, look: Look) -> None:
    """Serve what *look* returns, and the metrics of the ledger."""
    cells = [settings_of(settings, cell, settings.cells) for cell in all_cells(settings.cells)]
    ledger = CellMetrics([_metrics_of(one) for one in cells])
    try:
        serve(Page(look, ledger), settings.metrics_host, settings.metrics_port or 0)
    except OSError as error:
        log_event("metrics.unserved", error=error.strerror or type(error).__name__)


def _metrics_of(settings: Settings) -> LedgerMetrics:
    url, namespace = settings.redis_url.get_secret_value(), settings.namespace
    return LedgerMetrics(
        redis_client(url, namespace=namespace, tries=1, timeout_s=ANSWER_S),
        namespace,
        dead_after_ms=settings.worker_dead_after_ms,
        per_store=settings.metrics_per_store,
    )


def start_child(
    command: list[str], listen: Callable[[int], None] | None
) -> subprocess.Popen[bytes]:
    """Start a child process, with a pipe for its reports if somebody listens."""
    if listen is None:
        return subprocess.Popen(command)  # noqa: S603 - this program
    reads, writes = os.pipe()
    try:
        child = subprocess.Popen([*command, REPORT, str(writes)], pass_fds=(writes,))  # noqa: S603 - this program
    finally:
        os.close(writes)
    listen(reads)
    return child
