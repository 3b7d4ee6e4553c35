"""A whole refund on each kind of server, started for real: config/README.md has their addresses."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pytest
import redis

from statemachine.flows import State
from tests.support.certificates import Authority
from tests.support.processes import wait_until
from tests.support.rig import AFTER, STORE_ID, Rig, settings_for
from tests.support.servers import cluster, free_port, node, process, redis_program, sentinel
from worker.client import RefundClient
from worker.deploy.roles import ROLES
from worker.ledger.connection import redis_client
from worker.operations.doctor import examine
from worker.simulator import Simulator

#: The worker's user of worker/operations/README.md, in the namespace of any test. As is said there,
#: without a permission that Redis 7.0 does not know.
_RIGHTS = ROLES["worker"].rights.replace("{refunds}", "{t*}").replace(" +client|setinfo", "")
_RULES = f"on >s3cret/word resetkeys resetchannels -@all {_RIGHTS}"
_USER = ("--user", "refunds-worker", *_RULES.split())


@contextmanager
def _tls(folder: Path) -> Iterator[str]:
    """Yield the address of a server that asks for a certificate, with a user of its own."""
    authority = Authority(folder)
    server, server_key = authority.certificate("server")
    client, client_key = authority.certificate("client")
    port = free_port()
    files = ("--tls-cert-file", str(server), "--tls-key-file", str(server_key))
    trust = ("--tls-ca-cert-file", str(authority.path), "--tls-auth-clients", "yes")
    off = ("--user", "default", "off")
    options = f"ssl_ca_certs={authority.path}&ssl_certfile={client}&ssl_keyfile={client_key}"
    with process("--port", "0", "--tls-port", str(port), *files, *trust, *_USER, *off):
        yield f"rediss://refunds-worker:s3cret%2Fword@127.0.0.1:{port}/0?{options}"


@contextmanager
def _socket(folder: Path) -> Iterator[str]:
    path = folder / "redis.sock"
    with process("--port", "0", "--unixsocket", str(path), "--requirepass", "secret"):
        yield f"unix://:secret@{path}?db=3"


@contextmanager
def _sentinel(folder: Path) -> Iterator[str]:
    with (
        node(folder, password="one") as first,
        node(folder, "--replicaof", f"127.0.0.1 {first.port}", password="one"),
        sentinel(folder, first.port, password="one", own_password="two") as (_, url),
    ):
        yield url


@contextmanager
def _cluster(folder: Path) -> Iterator[str]:
    with cluster(folder) as found:
        yield found.url


@contextmanager
def _managed(folder: Path) -> Iterator[str]:
    """Yield the address of a server without CONFIG and an administrator's other commands."""
    hidden = ("CONFIG", "DEBUG", "REPLICAOF", "SHUTDOWN", "BGREWRITEAOF", "BGSAVE", "SAVE", "SYNC")
    renamed = [part for name in hidden for part in ("--rename-command", name, "")]
    with node(folder, *renamed, "--appendonly", "yes") as found:
        yield f"redis://127.0.0.1:{found.port}/0"


Kind = Callable[[Path], AbstractContextManager[str]]
_KINDS: dict[str, Kind] = {
    "TLS": _tls,
    "Unix socket": _socket,
    "Sentinel": _sentinel,
    "Redis Cluster": _cluster,
    "without CONFIG": _managed,
}


def _answers(url: str) -> bool:
    try:
        with redis_client(url, tries=1) as client:
            return bool(client.ping())
    except redis.ConnectionError:
        return False


@pytest.fixture(params=list(_KINDS))
def url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The address of a server of each kind."""
    redis_program()
    with _KINDS[request.param](tmp_path) as found:
        wait_until(lambda: _answers(found), patience_s=30)
        yield found


def test_a_refund_runs_on_each_kind_of_server(url: str) -> None:
    """Blocking fetches, scripts and transactions work; the doctor refuses nothing."""
    rig = Rig(settings_for(url, confirm_first_ms="20"), Simulator())
    namespace = rig.settings.namespace
    # A fetch that blocks until it finds nothing.
    assert next(rig.broker.consume("steps", prefetch=2, timeout=1)) is None
    worker = rig.app.worker()
    worker.start()
    rig.app.scheduler.start()
    job = {"refund_id": "rf-1", "store_id": STORE_ID, "order_id": rig.order(AFTER).id}
    RefundClient(url, namespace=namespace).request(**job)
    wait_until(lambda: _has_ended(rig, "rf-1"))
    worker.stop()
    rig.app.scheduler.stop()
    assert rig.load("rf-1").state is State.REFUNDED
    assert rig.problems() == []
    found = examine(rig.broker.client, namespace=namespace)
    assert [f for f in found if f.level == "refused"] == []
    rig.close()


def _has_ended(rig: Rig, refund_id: str) -> bool:
    refund = rig.ledger.load(refund_id)
    return refund is not None and refund.state is State.REFUNDED


def test_a_server_with_another_authority_is_refused(tmp_path: Path) -> None:
    """The password is not sent to a server that anybody could have put there."""
    mine, other = tmp_path / "mine", tmp_path / "other"
    mine.mkdir()
    other.mkdir()
    with _tls(mine) as address:
        wait_until(lambda: _answers(address), patience_s=30)
        wrong = address.replace(str(mine / "ca.pem"), str(Authority(other).path))
        with redis_client(wrong, tries=1) as client, pytest.raises(redis.ConnectionError) as caught:
            client.ping()
    assert "certificate verify failed" in str(caught.value)
