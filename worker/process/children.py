"""Worker processes that a parent starts, restarts and stops."""

from __future__ import annotations

import signal
import subprocess
import time
from collections.abc import Callable
from typing import Protocol

from worker.observability.events import log_event

#: The exit code when the ledger is not the one that the worker belongs to: a person must decide.
OTHER_LEDGER = 3
#: The exit code of a child that cannot start, whatever it tries; the parent's is 1.
REFUSED = 10
#: The pause before a child that ended is started again; it doubles each time.
FIRST_PAUSE_S, MAX_PAUSE_S = 0.5, 60.0
#: A child that worked for so long has not ended because of how it was started.
STEADY_S = 60.0
#: How much longer than the grace time a child may take to end.
MORE_S = 1.0
#: How a child ends that got a signal before it could handle it, so that it had not begun to work.
_BEFORE_ITS_HANDLER = (-signal.SIGTERM, -signal.SIGINT, -signal.SIGHUP)


class Child(Protocol):
    """What is needed of `subprocess.Popen`."""

    def poll(self) -> int | None:
        """Return the exit code, None if it is running."""

    def terminate(self) -> None:
        """Send SIGTERM."""

    def kill(self) -> None:
        """Send SIGKILL."""

    def wait(self, timeout: float | None = None) -> int:
        """Wait for its end."""


class Children:
    """A number of children; *start* starts the one of a place, counted from 0."""

    def __init__(
        self,
        count: int,
        start: Callable[[int], Child],
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._start = start
        self._monotonic = monotonic
        self._running: list[Child | None] = [start(place) for place in range(count)]
        self._started = [monotonic()] * count
        self._pauses = [FIRST_PAUSE_S] * count
        #: When each one that has ended is started again.
        self._due = [0.0] * count

    def look(self) -> int | None:
        """Restart those that ended, after a pause; return the code with which all must end."""
        for place in range(len(self._running)):
            if code := self._look_at(place):
                return code
        return None

    def _look_at(self, place: int) -> int | None:
        child, now = self._running[place], self._monotonic()
        if child is None:
            if now >= self._due[place]:
                self._running[place] = self._start(place)
                self._started[place] = now
            return None
        code = child.poll()
        if code is None:
            return None
        if code in {OTHER_LEDGER, REFUSED}:
            return code
        if now - self._started[place] >= STEADY_S:
            self._pauses[place] = FIRST_PAUSE_S
        log_event("worker.child_ended", exit_code=code, restart_in_s=self._pauses[place])
        self._running[place] = None
        self._due[place] = now + self._pauses[place]
        self._pauses[place] = min(2 * self._pauses[place], MAX_PAUSE_S)
        return None

    def stop(self, grace_s: float) -> int:
        """Let all end, for so long; return the highest exit code."""
        running = [child for child in self._running if child]
        for child in running:
            child.terminate()
        until = self._monotonic() + grace_s + MORE_S
        ends = (_wait_for_end(child, until - self._monotonic()) for child in running)
        return max(ends, default=0)


def _wait_for_end(child: Child, left_s: float) -> int:
    try:
        code = child.wait(max(0.0, left_s))
        return 0 if code in _BEFORE_ITS_HANDLER else abs(code)
    except subprocess.TimeoutExpired:
        child.kill()
        child.wait()
        return 1
