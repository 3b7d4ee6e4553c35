"""Signals that come while the program is still being loaded wait until it can handle them.

Loading takes about a second. A signal that came meanwhile would end the program as if it had
failed, and the first process of a container would not even notice it.
"""

from __future__ import annotations

import signal
import sys
from collections.abc import Iterable
from pathlib import Path

#: What asks the program to stop. A terminal that is closed sends SIGHUP.
SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


def is_program(name: str, *commands: str) -> bool:
    """Return whether this process is the installed program *name*, with one of these commands."""
    program, *arguments = sys.argv or [""]
    is_command = not commands or bool(set(commands) & set(arguments[:1]))
    return Path(program).name == name and is_command


def hold_signals(numbers: Iterable[signal.Signals] = SIGNALS) -> None:
    """Let these signals wait."""
    signal.pthread_sigmask(signal.SIG_BLOCK, numbers)


def deliver_signals() -> None:
    """Let what has come, and what will come, reach the handlers; there must be some by now."""
    signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)


def end_on_sigterm() -> None:
    """From now on a SIGTERM that was let wait ends the program with 0: it has begun nothing yet."""
    if signal.SIGTERM in signal.pthread_sigmask(signal.SIG_BLOCK, ()):
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
        deliver_signals()
