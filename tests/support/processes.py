"""Runs our programs, waits for them and inspects them; the machine may have no `ps`."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import psutil

#: Seconds; far longer than anything takes. A test waits this long only if it fails.
PATIENCE_S = 180
#: The commands `refunds` and `python -m worker`, whether or not the virtual environment is active.
REFUNDS = (sys.executable, "-c", "from worker.cli.main import main; main()")
WORKER = (sys.executable, "-m", "worker")

#: What lets coverage start in a new Python.
COVERAGE = ("COVERAGE_PROCESS_CONFIG", "COVERAGE_PROCESS_START")


def environment_without_settings() -> dict[str, str]:
    """Return our environment without any setting, for a child process with its own settings."""
    return {name: value for name, value in os.environ.items() if not name.startswith("REFUNDS_")}


def environment_without_coverage() -> dict[str, str]:
    """Return our environment for a program that is killed: it could not save what it measured."""
    return {name: value for name, value in os.environ.items() if name not in COVERAGE}


def run_program(
    command: Sequence[str], environment: Mapping[str, str] | None = None, stdin: str | None = None
) -> subprocess.CompletedProcess[str]:
    """Run a program to its end, with no settings but those in *environment*; returns its output."""
    return subprocess.run(
        command,
        env=environment_without_settings() | dict(environment or {}),
        input=stdin,
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=False,
    )


def announced(program: subprocess.Popen[str], log: Path | None = None) -> dict[str, Any]:
    """Return what a server that runs with --json prints when it listens.

    Raises:
        AssertionError: it refuses to start; the text has what it printed and logged.
    """
    assert program.stdout is not None
    line = program.stdout.readline()
    printed: dict[str, Any] = json.loads(line) if line else {}
    if "url" not in printed:
        program.kill()
        rest, errors = program.communicate()
        logged = log.read_text() if log else errors or ""
        raise AssertionError(f"the program does not listen: {line}{rest}{logged}")
    return printed


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
