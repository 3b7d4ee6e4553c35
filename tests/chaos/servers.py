"""A server and its replica behind one address; both can crash.

They run with `appendfsync everysec`. A crash of the machine is staged: the program is killed, and
its append-only file is cut to the length that it had a second before. That is what such a crash may
leave on the disk; killing the program alone loses nothing, or little while the disk is busy.
"""

from __future__ import annotations

import shutil
import signal
import threading
from pathlib import Path
from typing import Any

import redis

from tests.chaos.proxy import Proxy
from tests.chaos.server import Server
from tests.chaos.spares import Gate
from tests.support.processes import wait_until

#: How much a crash and a failover lose.
LOST_S = 1.0
#: Else the file is written anew at some time, and its length says nothing.
CONFIG = {"auto-aof-rewrite-percentage": "0", "repl-diskless-sync-delay": "0"}
_FILES = "appendonlydir/*.incr.aof"


class Servers:
    """A server that can be replaced by its replica; `url` always leads to the present one."""

    def __init__(self, place: Path) -> None:
        self._primary, self._replica = (
            Server(place / name, fsync="everysec", **CONFIG) for name in ("one", "two")
        )
        self.lock = threading.Lock()
        """Held while a server is down or is being replaced."""
        self._pause = threading.Event()

    def start(self) -> None:
        """Start both."""
        self._primary.start()
        self._proxy = Proxy(self._primary.port, lambda _: "", len)
        self.port = self._proxy.port
        self.url = f"redis://127.0.0.1:{self.port}/0"
        self._replicate()

    def end(self) -> None:
        """End both."""
        self._gate.close()
        self._proxy.close()
        for server in (self._replica, self._primary):
            server.end(signal.SIGKILL)

    def restart(self, number: signal.Signals) -> None:
        """End the server by a signal, and start it again with all that it has written."""
        with self.lock:
            self._primary.end(number)
            self._primary.start()

    def crash(self) -> None:
        """Let its machine crash: it starts again without what it wrote in the last second."""
        with self.lock:
            # A replica that has just synchronized makes the server begin another file.
            self._wait_for_replica()
            lengths = {file: file.stat().st_size for file in self._primary.place.glob(_FILES)}
            self._pause.wait(LOST_S)
            self._primary.end(signal.SIGKILL)
            for file, length in lengths.items():
                with file.open("r+b") as kept:
                    kept.truncate(length)
            self._primary.start()

    def fail_over(self) -> None:
        """Kill the server; its replica, which is a second behind, takes over."""
        with self.lock:
            self._wait_for_replica()
            self._gate.open.clear()
            self._pause.wait(LOST_S)
            self._primary.end(signal.SIGKILL)
            with _client(self._replica) as client:
                client.execute_command("REPLICAOF", "NO", "ONE")
            self._gate.close()
            self._primary, self._replica = self._replica, self._primary
            self._proxy.lead_to(self._primary.port)
            shutil.rmtree(self._replica.place / "appendonlydir")
            self._replicate()

    def _replicate(self) -> None:
        """Start the replica."""
        self._gate = Gate(self._primary.port)
        self._replica.start()
        with _client(self._replica) as client:
            client.execute_command("REPLICAOF", "127.0.0.1", self._gate.port)

    def _wait_for_replica(self) -> None:
        """Wait until the replica has the same history as the server."""
        with _client(self._primary) as first, _client(self._replica) as second:

            def follows() -> bool:
                mine, its = first.info("replication"), second.info("replication")
                return bool(
                    its.get("master_link_status") == "up"
                    and its["master_replid"] == mine["master_replid"]
                )

            wait_until(follows)


def _client(server: Server) -> Any:
    return redis.Redis(host="127.0.0.1", port=server.port, socket_timeout=5)
