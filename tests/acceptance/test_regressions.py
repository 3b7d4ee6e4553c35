"""Defects that reviews found: each with the test that showed it."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Any

import dramatiq
import pytest
import redis
from dramatiq.brokers.redis import RedisBroker
from dramatiq.errors import ConnectionClosed

from statemachine.flows import State, Transition
from tests.support.rig import AFTER, BEFORE, STORE_ID, Rig, settings_for
from worker.ledger.claims import StepCommit
from worker.ledger.connection import redis_client
from worker.queue.broker import Broker
from worker.simulator import Fault, Simulator


def _one_turn(rig: Rig) -> str:
    """Intake alone: the first step is queued."""
    refund_id = rig.request(rig.order(AFTER))
    rig._one("refunds")
    return refund_id


@pytest.mark.parametrize(
    "body",
    [b"\x80\x04\xff\xfe", b"[" * 100_000, json.dumps({
        "queue_name": "refunds", "actor_name": ["x"], "args": [], "kwargs": {}, "options": {},
        "message_id": "u", "message_timestamp": 1}).encode()],
)  # fmt: skip
def test_no_message_whatsoever_jams_the_queue(rig: Rig, body: bytes) -> None:
    """Bytes that are no text, text that is no message: kept for a person, and the next one runs."""
    raw = redis.Redis.from_url(rig.settings.redis_url.get_secret_value())
    raw.hset(rig.key("refunds.msgs"), "bad", body)
    raw.rpush(rig.key("refunds"), "bad")
    raw.close()
    good = rig.request(rig.order(AFTER))
    rig.settle()
    assert rig.load(good).state is State.REFUNDED
    assert list(rig.broker.quarantined()) == ["bad"]


def test_a_blip_while_quarantining_hands_the_message_out_again(rig: Rig) -> None:
    """It must not stay in our hands until a restart."""
    rig.send_raw("no message")
    real: Callable[..., Any] = rig.broker.quarantine

    def blip(*_: object) -> None:
        raise ConnectionClosed("gone")  # type: ignore[no-untyped-call]  # dramatiq's

    rig.broker.quarantine = blip  # type: ignore[assignment,method-assign]  # the seam is the command
    with pytest.raises(ConnectionClosed):
        next(rig.broker.consume("refunds", prefetch=2, timeout=1))
    rig.broker.quarantine = real  # type: ignore[method-assign]  # as it was
    rig.turn()
    assert len(rig.broker.quarantined()) == 1


def test_a_worker_that_woke_up_fetched_and_died_is_drained_again(rig: Rig, redis_url: str) -> None:
    """A job without a record is known only by the list of the worker that fetched it."""
    refund_id = rig.request(rig.order(AFTER))
    paused = Broker(redis_client(redis_url), namespace=rig.settings.namespace, middleware=[])
    paused.beat()
    rig.redis.zadd(rig.key("workers"), {paused.broker_id: 1})
    rig.broker.reclaim(10_000)
    paused.command("fetch", "refunds", wanted=8, known=[])
    long_ago = int(time.time() * 1000) - 60_000
    rig.redis.zadd(rig.key("workers"), {paused.broker_id: long_ago})
    assert rig.broker.reclaim(10_000) == [paused.broker_id]
    rig.settle()
    assert rig.load(refund_id).state is State.REFUNDED
    paused.client.close()


def test_a_final_reason_after_an_unclear_call_is_no_rejection(rig: Rig) -> None:
    """Our own call may be why; a rejection could not be replayed."""
    order = rig.order(AFTER)
    rig.simulator.script(Fault("lost_reply", "submit_refund"))
    refund_id = rig.request(order)
    rig.turn()
    order.payments[0].non_refundable = "FORBIDDEN"
    order.refunds.clear()
    rig.settle()
    refund = rig.load(refund_id)
    assert (refund.state, refund.reason["reason"]) == (State.DEAD, "outcome_unknown")


@pytest.mark.parametrize("endpoint", ["get_order", "get_order_refundability"])
def test_a_404_that_wix_did_not_write_rejects_nothing(rig: Rig, endpoint: str) -> None:
    """A gateway's page, a wrong address: not Wix's answer about this order."""
    rig.simulator.script(Fault("not_wix", endpoint, status=404))
    assert rig.run(rig.order(AFTER)).state is State.REFUNDED


def test_a_404_without_a_code_needs_a_person(rig: Rig) -> None:
    """Only ORDER_NOT_FOUND says that the order does not exist."""
    rig.simulator.script(Fault("status", "get_order", status=404))
    refund = rig.run(rig.order(AFTER))
    assert (refund.state, refund.reason["reason"]) == (State.DEAD, "refused_by_wix")


def test_a_conflict_survives_a_blip(rig: Rig) -> None:
    """It is acknowledged only together with its letter."""
    order = rig.order(AFTER)
    refund_id = rig.request(order)
    rig.settle()
    rig.request(order, refund_id, reason="other")
    real: Callable[..., Any] = rig.broker.quarantine

    def blip(*_: object) -> None:
        raise ConnectionClosed("gone")  # type: ignore[no-untyped-call]  # dramatiq's

    rig.broker.quarantine = blip  # type: ignore[assignment,method-assign]  # the seam is the command
    rig._one("refunds")
    rig.broker.quarantine = real  # type: ignore[method-assign]  # as it was
    rig.turn()
    assert [x["reason"] for x in rig.broker.quarantined().values()] == ["conflict"]


def test_waiting_out_an_unclear_call_does_not_restart_its_time(redis_url: str) -> None:
    """Else a refund fails for weeks before a person is told."""
    rig = Rig(settings_for(redis_url, retry_for_s="3600"), Simulator())
    rig.simulator.script(Fault("status", "submit_refund", status=503, times=10_000))
    refund_id = rig.request(rig.order(AFTER))
    rig.turn()
    since_ms = rig.load(refund_id).failing_since_ms
    rig.redis.zadd(rig.key("due"), {refund_id: 1})
    rig.ledger.wake_due("rig", lead_ms=1)
    rig.turn()
    assert rig.ledger.history(refund_id)[-1]["event"] == "step.waiting"
    assert rig.load(refund_id).failing_since_ms == since_ms > 0


def test_an_old_refund_without_reason_is_not_taken_for_ours(rig: Rig) -> None:
    """Killed before the first call of ours: what is older than the job cannot be ours."""
    order = rig.order(AFTER, amounts=("100.00", "50.00"))
    day_before = int(time.time() * 1000) - 86_400_000
    rig.simulator.clock_ms = lambda: day_before
    parts = [{"paymentId": order.payments[1].id}]
    rig.simulator._rule("submit_refund", order, {"paymentRefunds": parts})
    refund_id = rig.request(order)
    rig._one("refunds")
    rig._one("steps")
    rig.ledger.claim(refund_id, Transition.SUBMIT_REFUND, rig.delivery("killed", "m-x"))
    rig.settle()
    assert rig.load(refund_id).state is State.REFUNDED
    assert len(order.refunds) == 2


def test_a_replay_vouches_for_what_was_there_before_it(rig: Rig) -> None:
    """A person looked: the refund without reason is the merchant's."""
    rig.simulator.set_flags(fingerprint_kept=False)
    order = rig.order(AFTER, amounts=("100.00", "50.00"))
    rig.simulator.script(Fault("status", "submit_refund", status=503))
    refund_id = rig.request(order)
    rig.turn()
    parts = [{"paymentId": order.payments[1].id}]
    rig.simulator._rule("submit_refund", order, {"paymentRefunds": parts})
    rig.settle()
    assert rig.load(refund_id).reason["reason"] == "outcome_unknown"
    assert rig.replay(refund_id, operator="ann")
    rig.settle()
    assert rig.load(refund_id).state is State.REFUNDED
    assert len(order.refunds) == 2


def test_a_replay_begins_to_count_anew(rig: Rig) -> None:
    """The order had kept changing; now it rests."""
    rig.simulator.set_flags(cancel_fulfilled="428")
    order = rig.order(BEFORE, marked_fulfilled=True)
    refund = rig.run(order)
    assert refund.reason["reason"] == "cannot_unfulfill"
    order.marked_fulfilled = False
    assert rig.replay(refund.refund_id, operator="ann")
    rig.settle()
    assert rig.load(refund.refund_id).state is State.CANCELLED
    assert rig.load(refund.refund_id).facts.looks == 0


def test_a_stray_404_on_a_delete_is_not_believed_for_ever(rig: Rig) -> None:
    """What is still listed is deleted again."""
    order = rig.order(BEFORE, fulfillments=1)
    rig.simulator.script(Fault("status", "delete_fulfillment", status=404))
    assert rig.run(order).state is State.CANCELLED
    assert order.fulfillments == []


def test_one_empty_listing_does_not_bury_a_pending_refund(rig: Rig) -> None:
    """Only looks in a row that miss it count."""
    rig.simulator.set_flags(provider_ms=10**12)
    order = rig.order(AFTER)
    refund_id = rig.request(order)
    for _ in range(15):
        rig.turn()
        rig.later()
    saved = list(order.refunds)
    order.refunds.clear()
    rig.turn()
    assert rig.load(refund_id).state is State.REFUND_SUBMITTED
    assert rig.load(refund_id).facts.misses == 1
    order.refunds.extend(saved)
    rig.later()
    rig.turn()
    assert rig.load(refund_id).facts.misses == 0


def test_a_duplicate_delivery_does_not_wake_an_ended_refund(rig: Rig) -> None:
    """Its message was reclaimed while its worker went on, and then it ended."""
    order = rig.order(BEFORE)
    refund_id = rig.request(order)
    rig._one("refunds")
    rig._one("steps")
    owner, other = rig.delivery(message_id=f"{refund_id}~2"), rig.delivery("w2", f"{refund_id}~2")
    claim = rig.ledger.claim(refund_id, Transition.CANCEL_ORDER, owner)
    assert rig.ledger.claim(refund_id, Transition.CANCEL_ORDER, other).status == "busy"
    assert rig.redis.zscore(rig.key("due"), refund_id) is None
    end = StepCommit(state=State.CANCELLED, next="end")
    rig.redis.zadd(rig.key("due"), {refund_id: 1})
    assert rig.ledger.commit(refund_id, claim, end, owner)
    rig.settle()
    assert rig.broker.quarantined() == {}
    assert rig.redis.zcard(rig.key("busy", STORE_ID)) == 0


def test_a_job_that_a_plain_producer_delayed_is_taken_in(rig: Rig) -> None:
    """It lies in dramatiq's delay queue, which our consumers do not read."""
    order = rig.order(AFTER)
    plain = RedisBroker(client=rig.redis, namespace=rig.ledger.ns)  # type: ignore[no-untyped-call]  # dramatiq's
    plain.declare_queue("refunds")
    job = {"refund_id": "rf-1", "store_id": STORE_ID, "order_id": order.id}
    plain.enqueue(
        dramatiq.Message(
            queue_name="refunds", actor_name="request_refund", args=(), kwargs=job, options={}
        ),
        delay=60_000,
    )
    rig.settle()
    assert rig.ledger.load("rf-1") is None
    rig.broker.reclaim(60_000)
    rig.settle()
    assert rig.load("rf-1").state is State.REFUNDED
