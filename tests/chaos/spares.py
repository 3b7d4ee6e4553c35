"""Servers that take over after a crash, without the last writes of the one that crashed."""

from __future__ import annotations

import contextlib
import signal
import socket
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

import redis

from tests.chaos.server import Server
from tests.support.processes import wait_until

#: These servers are never restarted, so they write nothing to disk.
IN_MEMORY = {"appendonly": "no", "save": ""}

_DUMP = """
local found = {}
for _, name in ipairs(redis.call('KEYS', KEYS[1] .. '*')) do
    local left_ms = math.max(0, redis.call('PTTL', name))
    found[#found + 1] = {name, left_ms, redis.call('DUMP', name)}
end
return found
"""


class Spare(Protocol):
    """A server that can take over."""

    primary: int
    """The port of the first server."""

    def keep(self, kind: str) -> None:
        """Save the present state before a request of this kind, if this spare does that."""

    def take_over(self) -> int:
        """Take over with the saved state; returns the port."""


class Backup:
    """A server that gets a copy of all keys, made when the present step began.

    A step begins with a claim, or with the commit that hands it over: then the copy is made before
    the first write after that commit.
    """

    def __init__(self, primary: int, spare: int, namespace: str) -> None:
        self.primary = primary
        self._spare = spare
        self._namespace = namespace
        self._kept: list[tuple[bytes, int, bytes]] = []
        self._written = ""

    def keep(self, kind: str) -> None:
        """Make a new copy when a step begins, and one at the beginning."""
        is_handed = self._written == "commit" and kind in {"intent", "commit"}
        if kind in {"claim", "intent", "commit"}:
            self._written = kind
        if kind == "claim" or is_handed or not self._kept:
            with _client(self.primary) as client:
                self._kept = client.eval(_DUMP, 1, self._namespace)

    def take_over(self) -> int:
        """Restore the copy."""
        with _client(self._spare) as client:
            for name, left_ms, value in self._kept:
                client.restore(name, left_ms, value)
        return self._spare


class Replica:
    """A real replica that is one write of the ledger behind."""

    WRITES = ("accept", "claim", "intent", "commit")

    def __init__(self, primary: int, spare: int, gate: Gate) -> None:
        self.primary = primary
        self._spare = spare
        self._gate = gate
        self._lock = threading.Lock()
        self._is_promoted = False
        with _client(primary) as first, _client(spare) as second:
            first.config_set("repl-diskless-sync-delay", 0)
            second.execute_command("REPLICAOF", "127.0.0.1", gate.port)
            wait_until(lambda: second.info("replication").get("master_link_status") == "up")

    def keep(self, kind: str) -> None:
        """Pass on everything that was written before this write."""
        if kind not in self.WRITES:
            return
        with self._lock, _client(self.primary) as first, _client(self._spare) as second:
            if self._is_promoted:
                return
            self._gate.open.set()
            written = first.info("replication")["master_repl_offset"]
            wait_until(lambda: second.info("replication")["slave_repl_offset"] >= written)
            self._gate.open.clear()

    def take_over(self) -> int:
        """Promote the replica; what the gate holds back is lost."""
        with self._lock, _client(self._spare) as client:
            client.execute_command("REPLICAOF", "NO", "ONE")
            self._is_promoted = True
        return self._spare


class Gate:
    """Passes the data from a server to its replica, or holds it back while closed."""

    def __init__(self, port: int) -> None:
        self.open = threading.Event()
        self.open.set()
        self._upstream = ("127.0.0.1", port)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        threading.Thread(target=self._serve, daemon=True).start()

    def close(self) -> None:
        """Stop; what is held back is not passed on."""
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _serve(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                replica, _ = self._listener.accept()
                try:
                    server = socket.create_connection(self._upstream)
                except OSError:  # it is down; the replica tries again
                    replica.close()
                    continue
                for source, target, waits in ((server, replica, True), (replica, server, False)):
                    arguments = (source, target, waits)
                    threading.Thread(target=self._carry, args=arguments, daemon=True).start()

    def _carry(self, source: socket.socket, target: socket.socket, waits: bool) -> None:
        with contextlib.suppress(OSError), source:
            while chunk := source.recv(65536):
                if waits:
                    self.open.wait()
                target.sendall(chunk)
        with contextlib.suppress(OSError):
            target.shutdown(socket.SHUT_RDWR)


def _client(port: int) -> Any:
    return redis.Redis(host="127.0.0.1", port=port, socket_timeout=5)


@contextmanager
def backup(primary: int, namespace: str) -> Iterator[Spare]:
    """Start a spare server for a server that is running."""
    with _started() as spare:
        yield Backup(primary, spare.port, namespace)


@contextmanager
def replica() -> Iterator[Spare]:
    """Start a server, and a replica that lags behind."""
    with _started() as primary, _started() as spare:
        gate = Gate(primary.port)
        try:
            yield Replica(primary.port, spare.port, gate)
        finally:
            gate.close()


@contextmanager
def _started() -> Iterator[Server]:
    with tempfile.TemporaryDirectory(prefix="refunds-spare-") as place:
        server = Server(Path(place), **IN_MEMORY)
        server.start()
        try:
            yield server
        finally:
            server.end(signal.SIGKILL)
