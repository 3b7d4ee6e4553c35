"""Waiting for other programs and looking at them, on a machine that may have no `ps`."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import psutil

#: Seconds. Far more than anything takes; a test waits this long only when it fails.
PATIENCE_S = 60


def wait_until(condition: Callable[[], object], patience_s: float = PATIENCE_S) -> None:
    """Check a condition every 20 ms until it is true.

    Raises:
        AssertionError: the condition is still false after *patience_s*.
    """
    pause = threading.Event()
    deadline = time.monotonic() + patience_s
    while not condition():
        assert time.monotonic() < deadline, f"the condition is still false after {patience_s} s"
        pause.wait(0.02)


def is_stopped(pid: int) -> bool:
    """Return whether SIGSTOP has taken effect on all of the process."""
    return bool(psutil.Process(pid).status() == psutil.STATUS_STOPPED)


def child_pids(pid: int) -> list[int]:
    """Return the processes that this process has started and that still exist."""
    return [child.pid for child in psutil.Process(pid).children()]


def command_line(pid: int) -> str:
    """Return the command line as every user of the machine sees it."""
    return " ".join(psutil.Process(pid).cmdline())
