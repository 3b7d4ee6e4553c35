"""A Valkey server that can be killed and started again with its append-only file, on its port."""

from __future__ import annotations

import signal
from pathlib import Path

from tests.support.servers import free_port
from worker.demo.embedded import bundled_server, spared_from_ctrl_c

#: A server that takes longer to read its file is broken.
START_S = 60


class Server:
    """A kill loses nothing, but a crash of the machine may: with `everysec`, the last second."""

    def __init__(self, place: Path, *, fsync: str = "always", **more: str) -> None:
        self.place = place
        self.port = free_port()
        self.url = f"redis://127.0.0.1:{self.port}/0"
        config = {"appendonly": "yes", "appendfsync": fsync} | more
        self._server = bundled_server(port=self.port, data_dir=place, config=config)

    def start(self) -> None:
        """Start the server, and wait until it has read its file."""
        with spared_from_ctrl_c():
            self._server.start(timeout=START_S)

    def end(self, number: signal.Signals = signal.SIGTERM) -> None:
        """Send a signal, SIGTERM or SIGKILL, and wait until the server has ended."""
        if number is signal.SIGKILL:
            self._server.terminate()
        else:
            self._server.stop(timeout=START_S)
