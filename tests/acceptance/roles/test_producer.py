"""The user of those who ask for refunds can do its work, and no more."""

from __future__ import annotations

from typing import Any

import dramatiq
import pytest
import redis
from dramatiq.brokers.redis import RedisBroker
from dramatiq.errors import ConnectionClosed

from statemachine.flows import State
from tests.support.rig import AFTER, STORE_ID, Rig, settings_for
from tests.support.roles import add_user, allows, signed_in
from worker.app import ledger_from
from worker.client import RefundClient
from worker.queue.delivery import Delivery
from worker.refund.outcomes import read
from worker.refund.request import parse_request


def test_a_producer_can_send_jobs_and_read_outcomes(rig: Rig, server: str) -> None:
    """With our client, and with a plain dramatiq producer; the worker can do all of its work."""
    ids = ["rf-1", "rf-2", "rf-3"]
    jobs: list[dict[str, Any]] = [
        {"refund_id": refund_id, "store_id": STORE_ID, "order_id": rig.order(AFTER).id}
        for refund_id in ids
    ]
    RefundClient(signed_in("producer", server)).request(**jobs[0])
    plain = RedisBroker(
        url=signed_in("producer", server), namespace="{refunds}", maintenance_chance=0
    )  # type: ignore[no-untyped-call]  # dramatiq's
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
    with redis.Redis.from_url(signed_in("producer", server), decode_responses=True) as client:
        assert len(list(read(client, "refunds"))) == 6
        client.xtrim("{refunds}:outcomes", maxlen=0)
    plain.client.close()


def test_a_producer_can_ask_for_a_refund_and_share_the_outcomes(rig: Rig, server: str) -> None:
    """Status, wait and groups."""
    with RefundClient(signed_in("producer", server)) as client:
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
    add_user(rig.redis, f"ACL SETUSER refunds-earlier on >PASSWORD -@all {earlier}")
    with RefundClient(signed_in("earlier", server)) as client:
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
def test_a_producer_can_do_nothing_else(server: str, command: str) -> None:
    """Neither read other services' jobs, nor touch the ledger."""
    assert not allows("producer", server, command)


def test_a_producer_cannot_run_the_ledgers_scripts(rig: Rig, server: str) -> None:
    """A script has the rights of the user that runs it."""
    rig.run(rig.order(AFTER))
    settings = settings_for(signed_in("producer", server)).model_copy(
        update={"namespace": "refunds"}
    )
    broker, ledger = ledger_from(settings)
    request = parse_request({"refund_id": "rf-9", "store_id": STORE_ID, "order_id": STORE_ID})
    with pytest.raises(redis.RedisError, match="permission"):
        ledger.accept(request, Delivery("w"))
    with pytest.raises(ConnectionClosed, match="permission"):
        broker.command("fetch", "steps", wanted=1, known=[])
    assert rig.ledger.load("rf-9") is None
    broker.client.close()
