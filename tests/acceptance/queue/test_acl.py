"""The users of worker/operations/README.md: each role can do its work, and no more."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dramatiq
import pytest
import redis
from dramatiq.brokers.redis import RedisBroker
from dramatiq.errors import ConnectionClosed

from statemachine.flows import State
from tests.support.commands import refunds
from tests.support.rig import AFTER, STORE_ID, Rig, settings_for
from worker.app import ledger_from
from worker.client import RefundClient
from worker.demo.embedded import embedded_server
from worker.queue.delivery import Delivery
from worker.refund.outcomes import read
from worker.refund.request import parse_request
from worker.simulator import Simulator, serve

README = Path(__file__).parents[3] / "worker/operations/README.md"
ROLES = {
    match[1]: match[0]
    for match in re.finditer(r"^ACL SETUSER refunds-(\w+) .*$", README.read_text(), re.MULTILINE)
}


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    """A server with these users."""
    with embedded_server() as url:
        with redis.Redis.from_url(url) as client:
            for line in ROLES.values():
                client.execute_command(*line.split())
        yield url


@pytest.fixture
def rig(server: str) -> Iterator[Rig]:
    """A worker with the rights of its role; the test itself may do everything."""
    settings = settings_for(_as("worker", server)).model_copy(update={"namespace": "refunds"})
    with redis.Redis.from_url(server) as client:
        client.flushdb()
    rig = Rig(settings, Simulator())
    rig.redis.close()
    rig.redis = redis.Redis.from_url(server, decode_responses=True)
    yield rig
    rig.close()


def _as(role: str, url: str) -> str:
    return url.replace("://", f"://refunds-{role}:PASSWORD@")


def _command(role: str, url: str, *arguments: str, **more: str) -> int:
    environment = {"REFUNDS_REDIS_URL": _as(role, url)} | more
    return refunds(None, *arguments, environment=environment).returncode


def test_there_is_a_user_for_each_role() -> None:
    """The lines are read from the README."""
    assert list(ROLES) == ["upstream", "worker", "reader"]


def test_upstream_can_send_jobs_and_read_outcomes(rig: Rig, server: str) -> None:
    """With our client, and with a plain dramatiq producer; the worker can do all of its work."""
    ids = ["rf-1", "rf-2", "rf-3"]
    jobs: list[dict[str, Any]] = [
        {"refund_id": refund_id, "store_id": STORE_ID, "order_id": rig.order(AFTER).id}
        for refund_id in ids
    ]
    RefundClient(_as("upstream", server)).request(**jobs[0])
    plain = RedisBroker(url=_as("upstream", server), namespace="{refunds}", maintenance_chance=0)  # type: ignore[no-untyped-call]  # dramatiq's
    plain.declare_queue("refunds")
    for job, delay in ((jobs[1], None), (jobs[2], 1)):
        message: dramatiq.Message[None] = dramatiq.Message(
            queue_name="refunds", actor_name="request_refund", args=(), kwargs=job, options={}
        )
        plain.enqueue(message, delay=delay)
    worker = rig.app.worker()
    worker.start()
    worker.stop()
    rig.app.scheduler.give_back(0)  # as at the end of the program
    rig.broker.reclaim(60_000)
    rig.run_until_idle()
    assert {rig.load(refund_id).state for refund_id in ids} == {State.REFUNDED}
    with redis.Redis.from_url(_as("upstream", server), decode_responses=True) as client:
        assert len(list(read(client, "refunds"))) == 6
        client.xtrim("{refunds}:outcomes", maxlen=0)
    plain.client.close()


def test_upstream_can_ask_for_a_refund_and_share_the_outcomes(rig: Rig, server: str) -> None:
    """Status, wait and groups."""
    with RefundClient(_as("upstream", server)) as client:
        client.request(refund_id="rf-1", store_id=STORE_ID, order_id=rig.order(AFTER).id)
        assert client.status("rf-1").state == "queued"
        rig.run_until_idle()
        assert client.wait("rf-1", 0).state == State.REFUNDED
        with client.outcomes(group="g") as events:
            for outcome in events:
                events.acknowledge(outcome)
        assert list(client.outcomes(group="g")) == []


def test_a_producer_with_the_rights_of_an_earlier_version_can_send(rig: Rig, server: str) -> None:
    """Its jobs have a message id of their own, as before."""
    earlier = (
        "~{refunds} ~{refunds}:refunds ~{refunds}:refunds.msgs ~{refunds}:outcomes"
        " +auth +hello +ping +select +client|setinfo +evalsha +script|load +hset +rpush"
    )
    rig.redis.execute_command(
        *("ACL SETUSER refunds-earlier on >PASSWORD -@all " + earlier).split()
    )
    with RefundClient(_as("earlier", server)) as client:
        client.request(refund_id="rf-1", store_id=STORE_ID, order_id=rig.order(AFTER).id)
    [message_id] = rig.redis.lrange("{refunds}:refunds", 0, -1)
    assert message_id != "rf-1/job"
    rig.run_until_idle()
    assert rig.load("rf-1").state == State.REFUNDED


@pytest.mark.parametrize(
    "command",
    [
        "RPUSH {refunds}:steps m-1",
        "HSET {refunds}:steps.msgs m-1 x",
        "LRANGE {refunds}:refunds 0 -1",
        "HGETALL {refunds}:refunds.msgs",
        "HGET {refunds}:refunds.msgs rf-1/job",
        "HMGET {refunds}:refunds.msgs rf-1/job",
        "DEL {refunds}:refunds",
        "HSET {refunds}:clock offset_ms 0",
        "HSET {refunds}:refund:rf-1 state refundable",
        "HGETALL {refunds}:refund:rf-1",
        "HGETALL {refunds}:store:x",
        "XADD {refunds}:outcomes * event x",
        "ZADD {refunds}:due 1 rf-1",
        "KEYS *",
        "CONFIG GET *",
        "FLUSHDB",
        "EVAL return 1 0",
    ],
)
def test_upstream_can_do_nothing_else(server: str, command: str) -> None:
    """Neither read other services' jobs, nor touch the ledger."""
    with (
        redis.Redis.from_url(_as("upstream", server)) as client,
        pytest.raises(redis.exceptions.NoPermissionError),
    ):
        client.execute_command(*command.split())


def test_upstream_cannot_run_the_ledgers_scripts(rig: Rig, server: str) -> None:
    """A script has the rights of the user that runs it."""
    rig.run(rig.order(AFTER))
    settings = settings_for(_as("upstream", server)).model_copy(update={"namespace": "refunds"})
    broker, ledger = ledger_from(settings)
    request = parse_request({"refund_id": "rf-9", "store_id": STORE_ID, "order_id": STORE_ID})
    with pytest.raises(redis.RedisError, match="permission"):
        ledger.accept(request, Delivery("w"))
    with pytest.raises(ConnectionClosed, match="permission"):
        broker.command("fetch", "steps", wanted=1, known=[])
    assert rig.ledger.load("rf-9") is None
    broker.client.close()


@pytest.mark.parametrize("role", ["worker", "reader"])
def test_the_commands_that_only_read(rig: Rig, server: str, role: str) -> None:
    """A reader needs no more rights than these."""
    rig.request(rig.order(AFTER), "rf-1")
    rig.run_until_idle()
    rig.send_raw("x")
    rig.run_queued()
    for command in ("list", "show rf-1", "dead list", "dead show m-1", "stores list", "outcomes"):
        assert _command(role, server, *command.split()) == 0, command
    assert (
        _command(
            role, server, "list", "--order", "67668940-527d-4465-94c6-5475d8c7a412", "--text", "y"
        )
        == 0
    )
    # The dead letter needs a person.
    assert _command(role, server, "status") == 1


def test_the_worker_passes_the_doctor(rig: Rig, server: str) -> None:
    """It does not start otherwise."""
    rig.run(rig.order(AFTER))
    assert _command("worker", server, "audit", "--repair") == 0
    with serve(rig.simulator) as wix_url:
        assert _command("worker", server, "doctor", REFUNDS_WIX_BASE_URL=wix_url) == 0


@pytest.mark.parametrize(
    ("role", "command"),
    [
        ("reader", "HSET {refunds}:refund:rf-1 state x"),
        ("reader", "RPUSH {refunds}:refunds m-1"),
        ("reader", "GET {other}:key"),
        ("worker", "GET {other}:key"),
        ("worker", "FLUSHALL"),
        ("worker", "CONFIG SET maxmemory-policy allkeys-lru"),
        ("worker", "ACL LIST"),
    ],
)
def test_the_others_stay_in_their_namespace(server: str, role: str, command: str) -> None:
    """A reader writes nothing, and the worker administers nothing."""
    with (
        redis.Redis.from_url(_as(role, server)) as client,
        pytest.raises(redis.exceptions.NoPermissionError),
    ):
        client.execute_command(*command.split())


def test_a_missing_right_is_named(rig: Rig, server: str) -> None:
    """With the user and the command, and where to look."""
    rig.run(rig.order(AFTER))
    done = refunds(
        None, "audit", "--repair", environment={"REFUNDS_REDIS_URL": _as("reader", server)}
    )
    assert done.returncode == 1
    assert "the user in REFUNDS_REDIS_URL lacks a permission" in done.stderr
    assert "refunds-reader" in done.stderr
