"""How the program ends: on a signal, and within the grace time whatever hangs."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable

from worker.observability.events import log_event
from worker.process.early_signals import SIGNALS, deliver_signals

#: The part of the grace time that is reserved for the last log lines.
LAST_LINES_S = 1.0


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

    for number in SIGNALS:
        signal.signal(number, on_signal)
    deliver_signals()
    return stop


def end_in_time(
    stop: Stop,
    grace_s: float,
    *,
    is_busy: Callable[[], bool],
    last_words: Callable[[], object],
    end: Callable[[int], object] = os._exit,
) -> None:
    """Let the process end when the grace time is over, although a server may hang.

    What a worker had in flight goes back to the queue when its heartbeat is missed. The exit code
    is 1 if a step was still running.
    """

    def wait() -> None:
        stop.wait()
        threading.Event().wait(grace_s - LAST_LINES_S)
        busy = is_busy()
        if busy:
            log_event("worker.grace_over")
        last_words()
        end(int(busy))

    threading.Thread(target=wait, name="grace", daemon=True).start()
