"""`python -m worker`: run the worker until SIGTERM or SIGINT, then let the running steps settle."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable

import redis
from dramatiq.errors import ConnectionClosed

from config.loading import SettingsError, load_settings, unknown_variables
from config.settings import Settings
from worker.app import App, build
from worker.ledger.connection import in_words, is_for_good, redis_client
from worker.observability.events import log_event
from worker.observability.logs import configure_logs
from worker.operations.doctor import examine

#: How often a waiting program looks whether its parent or its children are still there.
LOOK_S = 0.5
#: Kept back of the grace time for writing down and closing.
CLOSING_S = 2
#: How long the first word of Redis may take, and the longest pause between two looks for it.
FIRST_S, LONGEST_S = 2.0, 5.0
_CHILD = "--child"
NO_KEYS = (
    "REFUNDS_VAULT_KEYS is not set, so that no store's key could be opened; make one with"
    " `refunds stores keygen` and keep it safe (or give the stores' keys in REFUNDS_STORES)"
)


def main(arguments: list[str]) -> int:
    """Run one worker, or as many children as REFUNDS_PROCESSES says; returns the exit code."""
    try:
        settings = load_settings(os.environ)
    except SettingsError as error:
        sys.stderr.write(f"the worker cannot start:\n{error}\n")
        return 2
    if settings.vault_keys is None and not settings.stores:
        sys.stderr.write(f"the worker cannot start:\n{NO_KEYS}\n")
        return 2
    configure_logs(settings.log_format, settings.log_level)
    stop = _stop_on_signals(settings)
    if settings.processes > 1 and _CHILD not in arguments:
        return _run_children(settings, stop)
    for name, nearest in unknown_variables(os.environ).items():
        log_event("settings.unknown", variable=name, nearest=nearest or None)
    parent = os.getppid() if _CHILD in arguments else None
    return run_worker(build(settings), stop, lambda: parent in (None, os.getppid()))


def _stop_on_signals(settings: Settings) -> threading.Event:
    """An event that the first signal sets; any further one changes nothing."""
    stop = threading.Event()

    def on_signal(number: int, _: object) -> None:
        if not stop.is_set():
            stop.set()
            name = signal.Signals(number).name
            log_event("worker.stopping", signal=name, grace_s=settings.grace_s)

    signal.signal(signal.SIGTERM, on_signal)
    signal.signal(signal.SIGINT, on_signal)
    return stop


def run_worker(app: App, stop: threading.Event, has_parent: Callable[[], bool]) -> int:
    """Work until *stop* is set or the parent is gone."""
    if not _reach_redis(app, stop):
        return 1
    if stop.is_set():
        return 0
    if not _is_fit(app):
        return 1
    app.scheduler.start()
    worker = app.worker()
    worker.start()
    worker_id = app.broker.broker_id
    log_event(
        "worker.started",
        worker_id=worker_id,
        threads=app.settings.threads,
        stores=len({*app.keyring.given, *app.stores.ids()}),
    )
    while not stop.wait(LOOK_S) and has_parent():
        pass
    worker.stop(timeout=(app.settings.grace_s - CLOSING_S) * 1000)
    is_busy = any(thread.is_alive() for thread in worker.workers)
    app.scheduler.stop()
    if is_busy:
        log_event("worker.grace_over")
        return 1
    log_event("worker.stopped", worker_id=worker_id)
    return 0


def _reach_redis(app: App, stop: threading.Event) -> bool:
    """Wait until Redis answers, or *stop*; False when waiting is of no use.

    Asked by a client without patience: ours tries for 20 s before it says a word.
    """
    client = redis_client(app.settings.redis_url.get_secret_value(), tries=1, timeout_s=FIRST_S)
    pause_s = LOOK_S
    with client:
        while not stop.is_set():
            try:
                client.ping()
                app.scheduler.beat()
                return True
            except (redis.RedisError, ConnectionClosed) as error:
                if is_for_good(error):
                    log_event("doctor.refused", check="reachable", text=in_words(error))
                    return False
                log_event("worker.redis_lost", error=in_words(error))
            stop.wait(pause_s)
            pause_s = min(2 * pause_s, LONGEST_S)
    return True


def _is_fit(app: App) -> bool:
    """The same checks as `refunds doctor`, told in the log."""
    findings = examine(app.broker.client)
    for finding in findings:
        if finding.verdict != "ok":
            log_event(f"doctor.{finding.verdict}", check=finding.check, text=finding.text)
    return all(finding.verdict != "refused" for finding in findings)


def _run_children(settings: Settings, stop: threading.Event) -> int:
    """Run the children, start again what ends by itself, and stop them all at the end."""
    command = [sys.executable, "-m", "worker", _CHILD]
    children = [subprocess.Popen(command) for _ in range(settings.processes)]  # noqa: S603 - ourselves
    while not stop.wait(LOOK_S):
        for place, child in enumerate(children):
            if child.poll() is not None and not stop.is_set():
                log_event("worker.child_ended", exit_code=child.returncode)
                children[place] = subprocess.Popen(command)  # noqa: S603 - ourselves
    for child in children:
        child.terminate()
    codes = [_end(child, settings.grace_s) for child in children]
    return max(codes)


def _end(child: subprocess.Popen[bytes], grace_s: int) -> int:
    try:
        return abs(child.wait(grace_s))
    except subprocess.TimeoutExpired:
        child.kill()
        child.wait()
        return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
