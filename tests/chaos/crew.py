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
from worker.cells.names import all_cells

SKEW_S = 61
#: So long both numbers of cells are known to some process.
BETWEEN_RESTARTS_S = 0.5
#: The name of a worker, and the cell that one of its processes serves.
Post = tuple[str, str]
_NAMES = ("first", "second")


class Crew:
    """Workers that can be killed and frozen. The clock of one of them is 61 s off.

    With cells each worker has a process for each of them.
    """

    def __init__(self, environ: Mapping[str, str], place: Path, older_url: str) -> None:
        self._environ = environ
        self._place = place
        self._older_url = older_url
        self._here: dict[Post, BaseProcess] = {}
        self._older: dict[str, subprocess.Popen[bytes]] = {}
        self._frozen: set[Post] = set()
        self._leaving: list[BaseProcess] = []
        #: With how many cells each process was started.
        self._started_with: dict[Post, int] = {}
        self._cells = 1
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
        with self.lock:
            for post in self._posts():
                self._start(post)

    def retire_older(self) -> None:
        """Stop the older version, as a deploy does."""
        with self.lock:
            for program in self._older.values():
                program.send_signal(signal.SIGTERM)
            for program in self._older.values():
                program.wait(PATIENCE_S)
            self._older = {}

    def grow(self, cells: int, pause: threading.Event) -> None:
        """Have so many cells from now on; restarts all processes, one after the other.

        One that is frozen continues with the number that it knows, and is restarted then.
        """
        with self.lock:
            self._cells = cells
        while stale := [p for p in self._posts() if self._started_with.get(p) != self._cells]:
            with self.lock:
                for post in [post for post in stale if post not in self._frozen][:1]:
                    self._leave(post)
                    self._start(post)
            pause.wait(BETWEEN_RESTARTS_S)

    def kill(self, size: float) -> bool:
        """Kill a process at once and without warning, and start another; not a frozen one.

        Returns whether it was one of the older version.
        """
        with self.lock:
            here = [post for post in self._here if post not in self._frozen]
            place = int(size * (len(here) + len(self._older)))
            if place < len(here):
                child.end(self._here[here[place]])
                self._start(here[place])
                return False
            name = list(self._older)[place - len(here)]
            self._older[name].kill()
            self._older[name].wait()
            self._older[name] = self._start_older()
            return True

    def freeze(self, for_s: float, pause: threading.Event) -> None:
        """Freeze a worker in the middle of its steps, and let it continue later."""
        with self.lock:
            frozen = {post: one for post, one in self._here.items() if post[0] == _NAMES[0]}
            self._frozen = set(frozen)
            for one in frozen.values():
                _signal(one, signal.SIGSTOP)
        pause.wait(for_s)
        with self.lock:
            for one in frozen.values():
                _signal(one, signal.SIGCONT)
            self._frozen = set()

    def count_dead(self) -> int:
        """Return how many processes have ended by themselves."""
        with self.lock:
            return sum(not one.is_alive() for one in self._here.values())

    def replace_dead(self) -> None:
        """Start another process for each that has ended by itself."""
        with self.lock:
            for post in [post for post, one in self._here.items() if not one.is_alive()]:
                self._start(post)

    def end(self) -> None:
        """Kill all."""
        for one in [*self._here.values(), *self._leaving]:
            child.end(one)
        for program in self._older.values():
            program.kill()
            program.wait()

    def _posts(self) -> list[Post]:
        return [(name, cell) for name in _NAMES for cell in all_cells(self._cells)]

    def _start(self, post: Post) -> None:
        name, cell = post
        environ = {**self._environ, "REFUNDS_CELLS": str(self._cells)}
        if self._cells > 1:
            environ["REFUNDS_SERVED_CELLS"] = cell
        self._here[post] = child.start(environ, skew_s=SKEW_S * _NAMES.index(name))
        self._started_with[post] = self._cells

    def _leave(self, post: Post) -> None:
        """Let a process finish its steps while another one has its place already."""
        if post in self._here:
            leaving = self._here.pop(post)
            leaving.terminate()
            self._leaving.append(leaving)

    def _start_older(self) -> subprocess.Popen[bytes]:
        environ = {
            **environment_without_settings(),
            **self._environ,
            "REFUNDS_REDIS_URL": self._older_url,
            "REFUNDS_LOG_LEVEL": "error",
        }
        program = (sys.executable, "-m", "worker")
        return subprocess.Popen(program, cwd=self._place / "older", env=environ)


def _signal(process: BaseProcess, number: signal.Signals) -> None:
    if process.pid and process.is_alive():
        os.kill(process.pid, number)
