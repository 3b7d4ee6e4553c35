"""`python -m worker`: run the worker until SIGTERM or SIGINT, then finish the running steps."""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterable
from importlib.metadata import version

import redis
from dramatiq.errors import ConnectionClosed

from config.loading import SettingsError, load_settings, unknown_variables
from config.settings import Settings
from worker.app import App, build, keyring_from, membership_from
from worker.children import OTHER_LEDGER, REFUSED, Children
from worker.ledger.connection import redis_client
from worker.ledger.stores import Stores
from worker.observability.events import log_event
from worker.observability.logs import configure_logs
from worker.operations.doctor import examine
from worker.operations.finding import Finding
from worker.operations.installation import Membership
from worker.operations.vault_check import vault_finding
from worker.queue.server_errors import explain, is_permanent

#: How often the program checks whether its parent and its children are still running.
POLL_S = 0.5
#: The part of the grace time that is reserved for writing results and closing connections.
CLOSING_S = 2
#: How long Redis may take for its first answer, and the longest pause between two attempts.
FIRST_ANSWER_S, MAX_PAUSE_S = 2.0, 5.0
#: Marks a process that another worker process has started.
_CHILD = "--child"
NO_KEYS = (
    "REFUNDS_VAULT_KEYS is not set, so no store's API key can be decrypted; make one with"
    " `refunds stores keygen` and store it like a password (or set the keys in REFUNDS_STORES)"
)


def main(arguments: list[str]) -> int:
    """Run one worker, or as many processes as REFUNDS_PROCESSES says; returns the exit code."""
    is_child = _parse(arguments).child
    try:
        settings = load_settings(os.environ)
        keyring_from(settings)
    except SettingsError as error:
        sys.stderr.write(f"the worker cannot start:\n{error}\n")
        return 2
    if settings.vault_keys is None and not settings.stores:
        sys.stderr.write(f"the worker cannot start:\n{NO_KEYS}\n")
        return 2
    configure_logs(settings.log_format, settings.log_level)
    stop = stop_on_signals()
    if settings.processes > 1 and not is_child:
        return _run_children(settings, stop)
    for name, nearest in unknown_variables(os.environ).items():
        log_event("settings.unknown", variable=name, nearest=nearest or None)
    parent = os.getppid() if is_child else None
    code = run_worker(build(settings), stop, lambda: parent in (None, os.getppid()))
    return code if is_child else _public(code)


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
    return parser.parse_args(arguments)


class Stop(threading.Event):
    """Is set when the worker must stop."""

    by = ""
    """The signal that asked for it, "" if none did."""

    def log(self, grace_s: int) -> None:
        """Log that a signal stops the worker, outside of the signal's handler."""
        if self.by:
            log_event("worker.stopping", signal=self.by, grace_s=grace_s)


def stop_on_signals() -> Stop:
    """Return an event that the first signal sets; further signals have no effect.

    The handler writes nothing: it may have interrupted the writing of a log line, which cannot be
    entered a second time.
    """
    stop = Stop()

    def on_signal(number: int, _: object) -> None:
        if not stop.is_set():
            stop.by = signal.Signals(number).name
            stop.set()

    signal.signal(signal.SIGTERM, on_signal)
    signal.signal(signal.SIGINT, on_signal)
    return stop


def run_worker(app: App, stop: Stop, has_parent: Callable[[], bool]) -> int:
    """Work until *stop* is set or the parent process has ended; returns the exit code."""
    if not _wait_for_redis(app, stop):
        return REFUSED
    if stop.is_set():
        stop.log(app.settings.grace_s)
        return 0
    findings = examine(app.broker.client, app.settings.redis_wait_replicas)
    if not _is_fit(findings):
        return REFUSED
    membership = membership_from(app.settings, app.broker.client)
    if code := _join(app, membership):
        return code
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
    if app.ledger.is_other:
        known = app.ledger.installation or ""
        log_event("worker.other_ledger", installation=known, text=membership.lost(known))
    worker.stop(timeout=(app.settings.grace_s - CLOSING_S) * 1000)
    is_busy = any(thread.is_alive() for thread in worker.workers)
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


def _wait_for_redis(app: App, stop: threading.Event) -> bool:
    """Wait until Redis answers or *stop* is set; returns False if waiting cannot help.

    This uses a client of its own, because the app's client retries for 20 s before it fails.
    """
    url = app.settings.redis_url.get_secret_value()
    namespace = app.settings.namespace
    client = redis_client(url, namespace=namespace, tries=1, timeout_s=FIRST_ANSWER_S)
    pause_s = POLL_S
    with client:
        while not stop.is_set():
            try:
                client.ping()
                app.scheduler.beat()
                return True
            except (redis.RedisError, ConnectionClosed) as error:
                if is_permanent(error):
                    log_event("doctor.refused", check="reachable", text=explain(error))
                    return False
                log_event("worker.redis_lost", error=explain(error))
            stop.wait(pause_s)
            pause_s = min(2 * pause_s, MAX_PAUSE_S)
    return True


def _join(app: App, membership: Membership) -> int:
    """Let each script name the installation; returns the exit code if the worker must not start."""
    try:
        # A wrong vault key is refused now, not at the first refund.
        if not _is_fit([vault_finding(app.keyring, app.stores)]):
            return 1
        joined = membership.join()
    except redis.RedisError as error:
        log_event("doctor.refused", check="reachable", text=explain(error))
        return REFUSED
    if joined.is_new:
        log_event("worker.installed", installation=joined.installation)
    app.ledger.installation = joined.installation
    return 0 if _is_fit(joined.findings) else OTHER_LEDGER


def _is_fit(findings: Iterable[Finding]) -> bool:
    """Log what the checks of `refunds doctor` found; returns whether none of it is refused."""
    for finding in findings:
        if finding.level == "refused":
            log_event("doctor.refused", check=finding.check, text=finding.text)
        elif finding.level == "warning":
            log_event("doctor.warning", check=finding.check, text=finding.text)
    return all(finding.level != "refused" for finding in findings)


def _run_children(settings: Settings, stop: Stop) -> int:
    """Run the worker processes until a signal, or until one finds that none should work.

    If a child finds another ledger than its own, or cannot start, a person must decide.
    """
    command = [sys.executable, "-m", "worker", _CHILD]
    children = Children(settings.processes, lambda: subprocess.Popen(command))  # noqa: S603 - this program
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
    sys.exit(main(sys.argv[1:]))


if __name__ == "__main__":
    run()
