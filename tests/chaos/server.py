"""A Valkey server that can be killed and comes back on its append-only file, on the same port."""

from __future__ import annotations

import random
import signal
import socket
from pathlib import Path

from worker.demo.embedded import bundled_server, spared_from_ctrl_c

#: A server that takes longer to read its file is broken.
START_S = 60


class Server:
    """With `appendfsync always` every acknowledged write is on disk: a kill forgets nothing.

    With `everysec` a lost machine may forget the last second, and with it jobs that upstream was
    told are safe: nothing behind the server could know of them.
    """

    def __init__(self, place: Path, *, fsync: str = "always", **more: str) -> None:
        self.place = place
        self.port = _quiet_port()
        self.url = f"redis://127.0.0.1:{self.port}/0"
        config = {"appendonly": "yes", "appendfsync": fsync} | more
        self._server = bundled_server(port=self.port, data_dir=place, config=config)

    def start(self) -> None:
        """Start it, and wait until it has read its file."""
        with spared_from_ctrl_c():
            self._server.start(timeout=START_S)

    def end(self, number: signal.Signals = signal.SIGTERM) -> None:
        """Send it a signal, SIGTERM or SIGKILL, and wait until it is gone."""
        if number is signal.SIGKILL:
            self._server.terminate()
        else:
            self._server.stop(timeout=START_S)


def _quiet_port() -> int:
    """A free port from which no connection starts: a client must not meet itself there."""
    while True:
        port = random.SystemRandom().randrange(20_000, 32_000)
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)):
                return port
