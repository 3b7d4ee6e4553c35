"""Keys that move between the nodes of a Redis Cluster, and connections that die while idle."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import redis
from redis.crc import key_slot

from tests.support.rig import AFTER, Rig, settings_for
from tests.support.servers import Cluster, Node, cluster
from worker.ledger.connection import redis_client
from worker.ledger.memory import place_of
from worker.queue.server_errors import explain, is_permanent
from worker.simulator import Simulator


@pytest.fixture
def two_nodes(tmp_path: Path) -> Iterator[Cluster]:
    """A cluster of two nodes; the first one holds all keys."""
    with cluster(tmp_path) as found:
        yield found


@pytest.fixture
def rig(two_nodes: Cluster) -> Iterator[Rig]:
    """A worker in the cluster."""
    rig = Rig(settings_for(two_nodes.url), Simulator())
    yield rig
    rig.close()


def _slot(rig: Rig) -> int:
    return key_slot(rig.ledger.ns.encode())


def _settle(rig: Rig) -> None:
    """Let all end; the other node is another server, which may have forgotten a call."""
    rig.run_queued()
    rig.redis.hincrby(rig.key("clock"), "doubt_ms", -rig.settings.settle_delay_ms)
    rig.run_until_idle()


def test_keys_that_have_moved_are_found(rig: Rig, two_nodes: Cluster) -> None:
    """The refund goes on where it was, at the node that has its keys now."""
    refund_id = rig.request(rig.order(AFTER))
    rig.run_one_step()
    place = place_of(rig.broker.client, "refunds")
    two_nodes.move(_slot(rig), to=two_nodes.nodes[1])
    _settle(rig)
    assert rig.load(refund_id).state == "refunded"
    assert two_nodes.nodes[0].client.keys(f"{rig.ledger.ns}*") == []
    # The machine remembers the ledger by its cluster, not by the node.
    assert place_of(rig.broker.client, "refunds") == place


def test_nothing_happens_while_the_keys_are_moving(rig: Rig, two_nodes: Cluster) -> None:
    """A script at the new node would see some of the keys, and accept a known refund again."""
    refund_id = rig.request(rig.order(AFTER))
    rig.run_one_step()
    target: Node = two_nodes.nodes[1]
    two_nodes.start_to_move(_slot(rig), to=target)
    source = two_nodes.nodes[0].client
    key = rig.key("refund", refund_id)
    source.migrate("127.0.0.1", target.port, [key], 0, 5_000)
    with pytest.raises(redis.exceptions.TryAgainError) as caught:
        rig.ledger.load(refund_id)
    assert "moving our keys" in explain(caught.value)
    assert not is_permanent(caught.value)
    with pytest.raises(redis.exceptions.TryAgainError):
        rig.ledger.misplaced([refund_id], repair=True)
    assert target.client.execute_command("CLUSTER", "COUNTKEYSINSLOT", _slot(rig)) == 1
    two_nodes.finish_move(_slot(rig), to=target)
    _settle(rig)
    assert rig.load(refund_id).state == "refunded"


def test_a_dead_node_is_not_asked_first_again(two_nodes: Cluster) -> None:
    """Any node of the address, or of the cluster, may be gone."""
    gone = two_nodes.nodes[1]
    client = redis_client(two_nodes.url)
    gone.process.kill()
    gone.process.wait()
    assert client.ping()
    locator: Any = client.connection_pool.connection_kwargs["locator"]
    assert locator._nodes[-1] == ("127.0.0.1", gone.port)
    client.close()


def test_a_node_of_a_cluster_as_a_single_server_is_explained(two_nodes: Cluster) -> None:
    """The text names the kind of address that would work."""
    wrong = f"redis://127.0.0.1:{two_nodes.nodes[1].port}"
    with redis_client(wrong, tries=1) as client, pytest.raises(redis.ResponseError) as caught:
        client.get("{refunds}:fence")
    assert "redis+cluster://" in explain(caught.value)
    assert is_permanent(caught.value)


def test_an_idle_connection_that_was_closed_costs_nothing(redis_url: str) -> None:
    """Nobody gets an error: the pool notices that the server, or a firewall, has closed it."""
    with redis_client(redis_url, tries=1) as client:
        client.ping()
        with redis.Redis.from_url(redis_url) as other:
            other.execute_command("CLIENT", "KILL", "ID", client.client_id())
        assert client.ping()


@pytest.mark.skipif(not hasattr(socket, "TCP_KEEPIDLE"), reason="not an option of this system")
def test_the_kernel_watches_idle_connections(redis_url: str) -> None:
    """A connection whose other end has vanished is found within seconds, before its next use."""
    with redis_client(redis_url) as client:
        connection: Any = client.connection_pool.get_connection()
        found = connection._sock
        assert found.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) == 1
        assert found.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE) == 10
        assert connection.health_check_interval == 15
        client.connection_pool.release(connection)
