"""The trial write finds a server at which a refund would be written in part."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.rig import Rig, settings_for
from worker.cli.serve import join
from worker.demo.embedded import embedded_server
from worker.ledger.connection import redis_client
from worker.operations.doctor import examine
from worker.operations.trial import trial


@pytest.fixture
def server() -> Iterator[str]:
    """A server of its own, because the tests change its users and its role."""
    with embedded_server() as url:
        yield url


def test_a_fit_server_is_fit_and_nothing_is_left(rig: Rig) -> None:
    """The keys of the trial are deleted."""
    finding = trial(rig.broker.client, rig.settings.namespace)
    assert (finding.level, finding.check) == ("ok", "writes")
    assert rig.redis.keys(rig.key("trial", "*")) == []


@pytest.mark.parametrize("command", ["xadd", "incr", "zadd", "time", "lmove"])
def test_a_user_who_lacks_one_command_is_refused(server: str, command: str) -> None:
    """The finding names the command."""
    with redis_client(server) as admin:
        admin.execute_command("ACL", "SETUSER", "w", "on", ">x", "~*", "+@all", f"-{command}")
    url = server.replace("redis://", "redis://w:x@")
    with redis_client(url) as client:
        finding = trial(client, "refunds")
    assert finding.level == "refused"
    assert finding.text.startswith(f"{command.upper()} refused: ")


def test_a_server_of_ours_tries_the_namespace_that_it_uses(server: str) -> None:
    """A user who may only use the keys of one namespace may start the HTTP API there."""
    with redis_client(server) as admin:
        admin.execute_command("ACL", "SETUSER", "w", "on", ">x", "~{shop}*", "+@all")
    url = server.replace("redis://", "redis://w:x@")
    with redis_client(url) as client:
        assert join(settings_for(url, namespace="shop"), client)


def test_a_read_only_replica_is_refused(server: str) -> None:
    """A worker that only reads at its start would find all well there."""
    with embedded_server() as primary, redis_client(server, tries=1) as client:
        port = primary.split(":")[-1].split("/")[0]
        with redis_client(primary) as other:
            # Else it waits for its replica when it ends.
            other.config_set("shutdown-timeout", 0)
        client.execute_command("REPLICAOF", "127.0.0.1", port)
        found = {finding.check: finding for finding in examine(client, namespace="refunds")}
    refused = [finding for finding in found.values() if finding.level == "refused"]
    assert refused
    assert all("read-only replica" in finding.text for finding in refused)
