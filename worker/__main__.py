"""`python -m worker`: run the worker until SIGTERM or SIGINT, then finish the running steps."""

from __future__ import annotations

from worker.process.early_signals import hold_signals, is_program

# Before all other imports: they take a second.
if __name__ == "__main__" or is_program("refunds-worker"):
    hold_signals()

import argparse
import os
import subprocess
import sys
from collections.abc import Callable, Iterable, Sequence
from contextlib import nullcontext
from importlib.metadata import version

import redis

from config.loading import SettingsError, load_settings, unknown_variables, variable
from config.settings import Settings
from worker.app import App, Seams, build, keyring_from
from worker.cells.names import all_cells
from worker.cells.settings import settings_of
from worker.ledger.stores import Stores
from worker.observability.bugs import report_bugs
from worker.observability.events import log_event, observe
from worker.observability.log_queue import LogQueue
from worker.observability.logs import configure_logs
from worker.observability.program_log import LAST_LINES_S, begin_log
from worker.observability.tracing import tracer_from
from worker.process.children import OTHER_LEDGER, REFUSED, Children
from worker.process.collecting import collect_less_often
from worker.process.cores import cores_for, kept_to
from worker.process.reporting import REPORT, report_app, report_children, start_child
from worker.process.starting import POLL_S, prepare
from worker.process.stopping import Stop, end_in_time, stop_on_signals

#: The part of the grace time that is reserved for writing results and closing connections.
CLOSING_S = 2
#: How long the last spans may take when the worker ends.
LAST_SPANS_S = 1.0
#: Marks a process that another worker process has started.
_CHILD = "--child"
#: Names the cell that it serves.
_CELL = "--cell"
NO_KEYS = (
    "REFUNDS_VAULT_KEYS is not set, so no store's API key can be decrypted; make one with"
    " `refunds stores keygen` and store it like a password (or set the keys in REFUNDS_STORES)"
)


def main(arguments: list[str], log: LogQueue | None = None) -> int:
    """Run one worker, or as many processes as REFUNDS_PROCESSES says; returns the exit code."""
    options = _parse(arguments)
    try:
        settings = load_settings(os.environ)
        keyring_from(settings)
    except SettingsError as error:
        return _refuse(str(error))
    if settings.vault_keys is None and not settings.stores:
        return _refuse(NO_KEYS)
    configure_logs(settings.log_format, settings.log_level, write=log.put if log else None)
    report_bugs(os.environ)
    return _run(settings, stop_on_signals(), log, options)


def _refuse(why: str) -> int:
    """Say why the worker cannot start; returns the exit code."""
    if sys.stderr.isatty():
        sys.stderr.write(f"the worker cannot start:\n{why}\n")
    else:
        log_event("settings.invalid", problems=why.split("\n"))
    return 2


def _run(settings: Settings, stop: Stop, log: LogQueue | None, options: argparse.Namespace) -> int:
    """Run the children, or be one worker."""
    served = served_cells(settings)
    if (settings.processes > 1 or len(served) > 1) and not options.child:
        return _run_children(settings, served, stop, log)
    settings = settings_of(settings, options.cell or served[0], settings.cells)
    for name, nearest in unknown_variables(os.environ).items():
        log_event("settings.unknown", variable=name, nearest=nearest or None)
    parent = os.getppid() if options.child else None
    tracer = tracer_from(os.environ)
    observe(tracer.saw_event)
    app = build(settings, Seams(tracer=tracer))
    end_in_time(
        stop,
        settings.grace_s,
        is_busy=lambda: app.running.count > 0,
        last_words=lambda: log.close(LAST_LINES_S) if log else None,
    )
    report_app(app, stop, log, options.report)
    code = run_worker(app, stop, lambda: parent in (None, os.getppid()))
    tracer.close(LAST_SPANS_S)
    return code if options.child else _public(code)


def _parse(arguments: list[str]) -> argparse.Namespace:
    """Parse the arguments; `--help`, `--version` and unknown arguments end the program."""
    parser = argparse.ArgumentParser(
        prog="python -m worker",
        description="Run the refund worker until SIGTERM or SIGINT.",
        epilog="All settings are environment variables; see config/README.md."
        " The commands for operators are in `refunds --help`.",
        allow_abbrev=False,
    )
    parser.add_argument(
        "--version", action="version", version=f"refunds {version('wix-refund-worker')}"
    )
    parser.add_argument(_CHILD, action="store_true", help=argparse.SUPPRESS)
    parser.add_argument(REPORT, type=int, help=argparse.SUPPRESS)
    parser.add_argument(_CELL, help=argparse.SUPPRESS)
    return parser.parse_args(arguments)


def run_worker(app: App, stop: Stop, has_parent: Callable[[], bool]) -> int:
    """Work until *stop* is set or the parent process has ended; returns the exit code."""
    membership = prepare(app, stop)
    if isinstance(membership, int):
        stop.log(app.settings.grace_s)
        return membership
    collect_less_often()
    app.scheduler.start()
    worker = app.worker()
    worker.start()
    worker_id = app.broker.broker_id
    log_event(
        "worker.started",
        worker_id=worker_id,
        threads=app.settings.threads,
        stores=count_stores(app.keyring.given, app.stores),
        installation=app.ledger.installation,
    )
    while not stop.wait(POLL_S) and has_parent() and not app.ledger.is_other:
        pass
    stop.log(app.settings.grace_s)
    stop.set()
    if app.ledger.is_other:
        known = app.ledger.installation or ""
        log_event("worker.other_ledger", installation=known, text=membership.lost(known))
    worker.stop(timeout=max(0, app.settings.grace_s - CLOSING_S) * 1000)
    is_busy = worker.is_busy
    app.scheduler.stop()
    if is_busy:
        log_event("worker.grace_over")
    else:
        log_event("worker.stopped", worker_id=worker_id)
    return OTHER_LEDGER if app.ledger.is_other else int(is_busy)


def count_stores(given: Iterable[str], stores: Stores) -> int | None:
    """Return the number of stores, for the log; None if Redis does not answer at this moment.

    That must not end a worker that is already working.
    """
    try:
        return len({*given, *stores.ids()})
    except redis.RedisError:
        return None


def served_cells(settings: Settings) -> tuple[str, ...]:
    """Return the cells that this worker serves."""
    named = settings.served_cells
    return tuple(named.split(",")) if named else all_cells(settings.cells)


def _run_children(
    settings: Settings, served: Sequence[str], stop: Stop, log: LogQueue | None
) -> int:
    """Run the worker processes until a signal, or until one finds that none should work.

    Each serves one cell, and each cell has at least one. If a child finds another ledger than its
    own, or cannot start, a person must decide.
    """
    command = [sys.executable, "-m", "worker", _CHILD]
    listen = report_children(settings, log)
    count = max(settings.processes, len(served))
    cores = cores_for(count)

    def start(place: int) -> subprocess.Popen[bytes]:
        with kept_to(cores[place]) if cores else nullcontext():
            return start_child([*command, _CELL, served[place % len(served)]], listen)

    children = Children(count, start)
    found = None
    while found is None and not stop.wait(POLL_S):
        found = children.look()
    stop.log(settings.grace_s)
    code = children.stop(settings.grace_s)
    return _public(found) if found else _public(code)


def _public(code: int) -> int:
    """Return the exit code that is documented."""
    return 1 if code == REFUSED else code


def run() -> None:
    """Run as the command `refunds-worker`, for installations without a Python to call."""
    sys.exit(main(sys.argv[1:], begin_log(os.environ.get(variable("log_format"), ""))))


if __name__ == "__main__":
    run()
