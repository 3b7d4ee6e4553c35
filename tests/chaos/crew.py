"""The workers of a chaos run: two of this version, and at first two of the older one."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping
from multiprocessing.process import BaseProcess
from pathlib import Path

from tests.chaos import child
from tests.support.previous import unpack_previous
from tests.support.processes import PATIENCE_S, environment_without_settings

SKEW_S = 61
_NAMES = ("first", "second")


class Crew:
    """Workers that can be killed and frozen. The clock of one of them is 61 s off."""

    def __init__(self, environ: Mapping[str, str], place: Path) -> None:
        self._environ = environ
        self._place = place
        self._here: dict[str, BaseProcess] = {}
        self._older: dict[str, subprocess.Popen[bytes]] = {}
        self._frozen: BaseProcess | None = None
        self.lock = threading.Lock()

    def start_older(self) -> None:
        """Start the older version.

        Raises:
            RuntimeError: the clone does not contain it.
        """
        if not unpack_previous(self._place / "older"):
            raise RuntimeError("the older version is not in this clone: use --without older")
        for name in _NAMES:
            self._older[name] = self._start_older()

    def start(self) -> None:
        """Start this version."""
        for name in _NAMES:
            self._here[name] = self._start(name)

    def retire_older(self) -> None:
        """Stop the older version, as a deploy does."""
        with self.lock:
            for program in self._older.values():
                program.send_signal(signal.SIGTERM)
            for program in self._older.values():
                program.wait(PATIENCE_S)
            self._older = {}

    def kill(self, size: float) -> bool:
        """Kill a worker at once and without warning, and start another; not the frozen one.

        Returns whether it was one of the older version.
        """
        with self.lock:
            here = [name for name, one in self._here.items() if one is not self._frozen]
            place = int(size * (len(here) + len(self._older)))
            if place < len(here):
                child.end(self._here[here[place]])
                self._here[here[place]] = self._start(here[place])
                return False
            name = list(self._older)[place - len(here)]
            self._older[name].kill()
            self._older[name].wait()
            self._older[name] = self._start_older()
            return True

    def freeze(self, for_s: float, pause: threading.Event) -> None:
        """Freeze a worker in the middle of its steps, and let it continue later."""
        with self.lock:
            self._frozen = frozen = self._here[_NAMES[0]]
        if frozen.pid and frozen.is_alive():
            os.kill(frozen.pid, signal.SIGSTOP)
            pause.wait(for_s)
            os.kill(frozen.pid, signal.SIGCONT)
        self._frozen = None

    def replace_dead(self) -> int:
        """Start another worker for each that has ended by itself; returns how many had."""
        with self.lock:
            ended = [name for name, one in self._here.items() if not one.is_alive()]
            for name in ended:
                self._here[name] = self._start(name)
            return len(ended)

    def end(self) -> None:
        """Kill all."""
        for one in self._here.values():
            child.end(one)
        for program in self._older.values():
            program.kill()
            program.wait()

    def _start(self, name: str) -> BaseProcess:
        return child.start(self._environ, skew_s=SKEW_S * _NAMES.index(name))

    def _start_older(self) -> subprocess.Popen[bytes]:
        environ = {
            **environment_without_settings(),
            **self._environ,
            "REFUNDS_LOG_LEVEL": "error",
        }
        program = (sys.executable, "-m", "worker")
        return subprocess.Popen(program, cwd=self._place / "older", env=environ)
