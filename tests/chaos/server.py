"""A Valkey server that can be killed and comes back on its append-only file, on the same port."""

from __future__ import annotations

import random
import signal
import socket
import subprocess
import threading
from pathlib import Path

import redis

from worker.demo.embedded import server_program

#: A server that takes longer to read its file is broken.
START_S = 60


class Server:
    """With `appendfsync always` every acknowledged write is on disk: a kill forgets nothing.

    With `everysec` a lost machine may forget the last second, and with it jobs that upstream was
    told are safe: nothing behind the server could know of them.
    """

    def __init__(self, place: Path, *, fsync: str = "always") -> None:
        self.place = place
        self.fsync = fsync
        self.port = _quiet_port()
        self.url = f"redis://127.0.0.1:{self.port}/0"
        self._program: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it, and wait until it has read its file."""
        with (self.place / "server.log").open("ab") as log:
            options = {
                "port": str(self.port),
                "bind": "127.0.0.1",
                "dir": str(self.place),
                "appendonly": "yes",
                "appendfsync": self.fsync,
                "save": "",
            }
            command = [server_program(), *(x for k, v in options.items() for x in (f"--{k}", v))]
            self._program = subprocess.Popen(
                command, stdout=log, stderr=log, stdin=subprocess.DEVNULL, start_new_session=True
            )
        with redis.Redis(port=self.port, socket_timeout=1) as client:
            for _ in range(START_S * 50):
                try:
                    client.ping()
                    return
                except redis.RedisError:
                    threading.Event().wait(0.02)
        raise RuntimeError(f"the server did not start: see {self.place}/server.log")

    def end(self, number: signal.Signals = signal.SIGTERM) -> None:
        """Send it a signal and wait until it is gone."""
        if self._program:
            self._program.send_signal(number)
            self._program.wait()


def _quiet_port() -> int:
    """A free port from which no connection starts: a client must not meet itself there."""
    while True:
        port = random.SystemRandom().randrange(20_000, 32_000)
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)):
                return port
