"""What a measurement runs in: a server, the stub of Wix, and programs in processes of their own."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import psutil
import redis

from tests.chaos.server import Server
from tests.support.processes import environment_without_coverage

ROOT = Path(__file__).parents[2]
#: Longer than anything here takes, unless it is broken.
PATIENCE_S = 300


class Group:
    """Programs that are stopped, continued and measured together."""

    def __init__(
        self, commands: Sequence[Sequence[str]], environ: Mapping[str, str], folder: Path
    ) -> None:
        self._log = (folder / "programs.log").open("ab")
        self.programs = [
            subprocess.Popen(
                command,
                env={**environment_without_coverage(), **environ},
                cwd=ROOT,
                stdin=subprocess.PIPE,
                stdout=self._log,
                stderr=self._log,
                start_new_session=True,
            )
            for command in commands
        ]

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to all programs and their children."""
        for program in self.programs:
            with suppress(ProcessLookupError):
                os.killpg(program.pid, number)

    def cpu_s(self) -> float:
        """Return the CPU time that they and their children have used so far, in seconds."""
        used_s = 0.0
        for program in self.programs:
            parent = psutil.Process(program.pid)
            for process in (parent, *parent.children(recursive=True)):
                with suppress(psutil.NoSuchProcess):
                    times = process.cpu_times()
                    used_s += times.user + times.system
        return used_s

    def has_ended(self) -> bool:
        """Return whether a program has ended by itself."""
        return any(program.poll() is not None for program in self.programs)

    def end(self) -> None:
        """End all of them, at once."""
        self.signal(signal.SIGKILL)
        for program in self.programs:
            assert program.stdin is not None
            with suppress(BrokenPipeError):
                program.stdin.close()
            program.wait()
        self._log.close()


class World:
    """A server and a stub; each run begins with an empty server and a stub that knows nothing."""

    def __init__(self, folder: Path, server: Server, stub_port: int) -> None:
        self.folder = folder
        self.redis_url = server.url
        self.wix_url = f"http://127.0.0.1:{stub_port}"
        self.redis: Any = redis.Redis.from_url(server.url, decode_responses=True)

    def reset(self, **stub: object) -> None:
        """Empty the server, and set the stub."""
        # Else the server would give the next job to a killed program that waits on a connection.
        self.redis.client_kill_filter(_type="normal", skipme=True)
        self.redis.flushall()
        self.set_stub(**stub)

    def set_stub(self, **stub: object) -> None:
        """Let the stub forget everything, and answer like this."""
        self._ask("set", urlencode(stub).encode())

    def counts(self) -> dict[str, int]:
        """Return what the stub has counted."""
        counts: dict[str, int] = self._ask("counts")
        return counts

    def finished_s(self) -> dict[str, float]:
        """Return when each order was finished, in monotonic time."""
        finished: dict[str, float] = self._ask("finished")
        return finished

    def wait_for(
        self, finished: int, *, limit_s: float = PATIENCE_S, group: Group | None = None
    ) -> float:
        """Wait until so many orders are finished; return the monotonic time of the last one.

        Raises:
            RuntimeError: it takes too long, or a program of *group* has ended.
        """
        until_s, pause = time.monotonic() + limit_s, threading.Event()
        while (found := self.counts().get("finished", 0)) < finished:
            if time.monotonic() > until_s or (group and group.has_ended()):
                log = (self.folder / "programs.log").read_text(errors="replace")[-2000:]
                raise RuntimeError(f"{found} of {finished} were finished: {log}")
            pause.wait(0.02)
        return sorted(self.finished_s().values())[finished - 1]

    def _ask(self, what: str, body: bytes | None = None) -> Any:
        with urllib.request.urlopen(f"{self.wix_url}/_stub/{what}", body, timeout=30) as answer:  # noqa: S310 - our stub
            return json.load(answer)


@contextmanager
def world() -> Iterator[World]:
    """Start a server and a stub."""
    with tempfile.TemporaryDirectory(prefix="refunds-bench-") as name:
        folder = Path(name)
        server = Server(folder, fsync="everysec")
        server.start()
        stub = subprocess.Popen(
            [sys.executable, "-m", "tests.benchmarks.stub"],
            env=environment_without_coverage(),
            stdout=subprocess.PIPE,
            cwd=ROOT,
        )
        assert stub.stdout is not None
        made = World(folder, server, int(stub.stdout.readline()))
        try:
            yield made
        finally:
            made.redis.close()
            stub.kill()
            stub.wait()
            stub.stdout.close()
            server.end()
