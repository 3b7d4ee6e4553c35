"""The hardened broker; worker/queue/README.md lists the pitfalls that the tests cite."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Any

import pytest
import redis
from dramatiq.errors import ConnectionClosed

from statemachine.flows import State, Transition
from tests.support.rig import AFTER, ANN, Rig, settings_for
from worker.ledger.connection import redis_client
from worker.operations import dead_letters
from worker.queue.broker import Broker
from worker.queue.middleware import current_delivery, may_pass
from worker.simulator import Simulator


def test_enqueuing_the_same_message_twice_queues_it_once(rig: Rig) -> None:
    """Pitfall 8: a repeated script after a lost reply must not run a job twice."""
    rig.send_raw("x", message_id="m-1")
    rig.send_raw("x", message_id="m-1")
    assert rig.redis.lrange(rig.key("refunds"), 0, -1) == ["m-1"]


def test_messages_lost_on_the_way_to_the_worker_are_handed_out_again(rig: Rig) -> None:
    """Pitfalls 2 and 3: the server counts them as in flight, but no process knows them."""
    order = rig.order(AFTER)
    refund_id = rig.request(order)
    rig.broker.command("fetch", "refunds", wanted=10, known=[])
    assert rig.redis.llen(rig.key("refunds")) == 0
    message = next(rig.broker.consume("refunds", prefetch=2, timeout=1))
    assert message is not None
    assert message.kwargs["refund_id"] == refund_id


def test_a_new_consumer_does_not_hand_out_what_still_runs(rig: Rig) -> None:
    """After a connection error dramatiq makes a new consumer; its worker threads still run."""
    rig.request(rig.order(AFTER))
    first = rig.broker.consume("refunds", prefetch=4, timeout=1)
    assert next(first) is not None
    first.close()
    second = rig.broker.consume("refunds", prefetch=4, timeout=1)
    assert next(second) is None


def test_a_dead_workers_messages_come_back_in_order(rig: Rig, redis_url: str) -> None:
    """Pitfall 6: the heartbeat decides, not chance."""
    ids = [rig.request(rig.order(AFTER), f"rf-{n}") for n in range(3)]
    dead = Broker(redis_client(redis_url), namespace=rig.settings.namespace, middleware=[])
    dead.beat()
    dead.command("fetch", "refunds", wanted=10, known=[])
    assert rig.broker.reclaim(60_000) == []
    rig.redis.zadd(rig.key("workers"), {dead.broker_id: 1})
    assert rig.broker.reclaim(60_000) == [dead.broker_id]
    assert rig.redis.llen(rig.key("refunds")) == 3
    rig.run_until_idle()
    assert {rig.load(refund_id).state for refund_id in ids} == {State.REFUNDED}
    dead.client.close()


def test_an_acknowledgement_by_a_worker_that_lost_the_message_does_nothing(
    rig: Rig, redis_url: str
) -> None:
    """The message is in the queue again and keeps its body."""
    rig.send_raw("x", message_id="m-1")
    other = Broker(redis_client(redis_url), namespace=rig.settings.namespace, middleware=[])
    other.command("fetch", "refunds", wanted=1, known=[])
    rig.redis.zadd(rig.key("workers"), {other.broker_id: 1})
    rig.broker.reclaim(60_000)
    other.command("ack", "refunds", message_id="m-1")
    assert rig.redis.hget(rig.key("refunds.msgs"), "m-1") == "x"
    other.client.close()


def test_fetched_messages_go_back_at_shutdown(rig: Rig) -> None:
    """Pitfall 2: after a graceful stop no message is in flight."""
    for n in range(3):
        rig.request(rig.order(AFTER), f"rf-{n}")
    consumer = rig.broker.consume("refunds", prefetch=20, timeout=1)
    message = next(consumer)
    assert message is not None
    assert rig.redis.llen(rig.key("refunds")) == 0
    consumer.requeue([message])
    consumer.close()
    assert rig.redis.llen(rig.key("refunds")) == 3


def test_a_worker_fetches_no_more_than_its_threads_can_run(rig: Rig) -> None:
    """Pitfall 15: the other messages stay in the queue for other workers."""
    for n in range(3):
        rig.request(rig.order(AFTER), f"rf-{n}")
    rig._one("refunds")
    consumer = rig.broker.consume("steps", prefetch=2, timeout=1)
    assert next(consumer) is not None
    assert next(consumer) is None
    assert rig.redis.llen(rig.key("steps")) == 2


def test_a_blocked_fetch_returns_at_once_and_keeps_the_message(rig: Rig) -> None:
    """Pitfall 15: idle workers block. A message is in flight before it is decoded."""
    consumer = rig.broker.consume("refunds", prefetch=2, timeout=1)
    assert next(consumer) is None
    rig.request(rig.order(AFTER))
    assert next(consumer) is not None
    inflight = rig.key("refunds", "inflight", rig.broker.broker_id)
    assert rig.redis.llen(inflight) == 1


def test_delayed_messages_are_refused(rig: Rig) -> None:
    """Pitfalls 3 and 10: the ledger has the due times, so nothing waits in memory."""
    rig.request(rig.order(AFTER))
    message = next(rig.broker.consume("refunds", prefetch=2, timeout=1))
    assert message is not None
    with pytest.raises(ValueError, match="delays are kept in the ledger"):
        rig.broker.enqueue(message._message, delay=1_000)


def test_a_body_that_is_gone_does_not_block_the_queue(rig: Rig) -> None:
    """An id without a message is dropped."""
    rig.redis.rpush(rig.key("refunds"), "ghost")
    refund_id = rig.request(rig.order(AFTER))
    rig.run_until_idle()
    assert rig.load(refund_id).state is State.REFUNDED


@pytest.mark.parametrize("error", [redis.TimeoutError, redis.ReadOnlyError, redis.BusyLoadingError])
def test_every_way_in_which_redis_fails_is_a_connection_error(
    redis_url: str, error: type[Exception]
) -> None:
    """Pitfall 9: dramatiq only restarts a consumer after a connection error."""
    rig = Rig(settings_for(redis_url), Simulator())

    def fail(*_: object, **__: object) -> None:
        raise error("no")

    rig.broker._queue_script = fail  # type: ignore[assignment]  # the script is replaced
    with pytest.raises(ConnectionClosed):
        rig.broker.beat()


def test_an_uncommitted_step_runs_again_and_looks_first(rig: Rig) -> None:
    """Pitfall 1: if Redis fails during a commit, nothing is lost and nothing is done twice."""
    order = rig.order(AFTER)
    refund_id = rig.request(order)

    class Blip:
        """A ledger whose commit fails repeatedly after Wix has made the refund."""

        def __init__(self) -> None:
            self.failing = 0

        def commit(self, *arguments: object) -> str:
            """Fail six times once Wix has made the refund."""
            if len(order.refunds) == 1 and self.failing < 6:
                self.failing += 1
                raise redis.ConnectionError("gone")
            return rig.ledger.commit(*arguments)  # type: ignore[arg-type]  # passed through

        def __getattr__(self, name: str) -> object:
            return getattr(rig.ledger, name)

    steps = rig.steps_with(Blip())  # type: ignore[arg-type]  # a ledger with one change

    def submit_refund(refund_id: str) -> None:
        steps.run(Transition.SUBMIT_REFUND, refund_id, current_delivery())

    rig.broker.actors["submit_refund"].fn = submit_refund
    rig.run_until_idle()
    assert rig.pauses == [0.5, 1.0, 2.0, 4.0, 8.0]
    assert rig.load(refund_id).state is State.REFUNDED
    assert len(order.refunds) == 1
    assert any(line.get("found") for line in rig.ledger.history(refund_id))


def test_a_message_whose_script_always_fails_becomes_one_dead_letter(rig: Rig) -> None:
    """A damaged record does not keep its message circulating, and other refunds continue."""
    broken, good = rig.request(rig.order(AFTER)), rig.request(rig.order(AFTER))
    rig._one("refunds")
    rig._one("refunds")
    rig.redis.hset(rig.key("refund", broken), "attempt", "broken")
    rig.run_until_idle()
    assert rig.load(good).state is State.REFUNDED
    for _ in range(5):
        list(rig.ledger.requeue_lost())
        rig.run_queued()
    letters = rig.broker.quarantined()
    # One letter, however often the refund was requeued; after a repair it can be replayed.
    assert [(i, letter["reason"]) for i, letter in letters.items()] == [(broken, "worker_error")]
    rig.redis.hset(rig.key("refund", broken), "attempt", "0")
    dead_letters.replay(rig.acts, broken, operator=ANN)
    list(rig.ledger.requeue_lost())
    rig.run_until_idle()
    assert rig.load(broken).state is State.REFUNDED
    assert rig.broker.quarantined() == {}


@pytest.mark.parametrize(
    ("error", "passes"),
    [
        (redis.ResponseError("MISCONF Redis is configured to save RDB snapshots, but"), True),
        (redis.OutOfMemoryError("command not allowed when used memory > 'maxmemory'."), True),
        (redis.ConnectionError("gone"), True),
        # Redis 6.2.
        (
            redis.ResponseError(
                "Error running script (call to f_6b): @user_script:30: @user_script: 30: -OOM"
                " command not allowed when used memory > 'maxmemory'."
            ),
            True,
        ),
        (
            redis.ResponseError(
                "Error running script (call to f_6b): @user_script:1: -WRONGTYPE Operation"
            ),
            False,
        ),
        (redis.ResponseError("user_script:1: Expected value but found invalid"), False),
        (redis.ResponseError("WRONGTYPE Operation against a key holding the wrong kind"), False),
        (redis.ResponseError("hash value is not an integer script: x"), False),
        (ValueError("x"), False),
    ],
)
def test_only_problems_of_the_server_are_retried(error: Exception, passes: bool) -> None:
    """Any other error is permanent, and the message becomes a dead letter."""
    assert may_pass(error) is passes


@pytest.mark.parametrize(
    "body",
    [b"\x80\x04\xff\xfe", b"[" * 100_000, json.dumps({
        "queue_name": "refunds", "actor_name": ["x"], "args": [], "kwargs": {}, "options": {},
        "message_id": "u", "message_timestamp": 1}).encode()],
)  # fmt: skip
def test_no_message_can_block_the_queue(rig: Rig, body: bytes) -> None:
    """Bytes that are not text, text that is not a message: it is kept for a person."""
    raw = redis.Redis.from_url(rig.settings.redis_url.get_secret_value())
    raw.hset(rig.key("refunds.msgs"), "bad", body)
    raw.rpush(rig.key("refunds"), "bad")
    raw.close()
    good = rig.request(rig.order(AFTER))
    rig.run_until_idle()
    assert rig.load(good).state is State.REFUNDED
    assert list(rig.broker.quarantined()) == ["bad"]


def test_a_message_whose_quarantine_failed_is_delivered_again(rig: Rig) -> None:
    """It must not stay in flight until a restart."""
    rig.send_raw("no message")
    real: Callable[..., Any] = rig.broker.quarantine

    def blip(*_: object) -> None:
        raise ConnectionClosed("gone")  # type: ignore[no-untyped-call]  # dramatiq's

    rig.broker.quarantine = blip  # type: ignore[assignment,method-assign]  # the command is replaced
    with pytest.raises(ConnectionClosed):
        next(rig.broker.consume("refunds", prefetch=2, timeout=1))
    rig.broker.quarantine = real  # type: ignore[method-assign]  # as it was
    rig.run_queued()
    assert len(rig.broker.quarantined()) == 1


def test_a_worker_that_fetches_after_it_was_reclaimed_is_reclaimed_again(
    rig: Rig, redis_url: str
) -> None:
    """A job without a record is known only from the list of the worker that fetched it."""
    refund_id = rig.request(rig.order(AFTER))
    paused = Broker(redis_client(redis_url), namespace=rig.settings.namespace, middleware=[])
    paused.beat()
    rig.redis.zadd(rig.key("workers"), {paused.broker_id: 1})
    rig.broker.reclaim(10_000)
    paused.command("fetch", "refunds", wanted=8, known=[])
    long_ago = int(time.time() * 1000) - 60_000
    rig.redis.zadd(rig.key("workers"), {paused.broker_id: long_ago})
    assert rig.broker.reclaim(10_000) == [paused.broker_id]
    rig.run_until_idle()
    assert rig.load(refund_id).state is State.REFUNDED
    paused.client.close()


def test_what_the_server_gives_to_a_worker_that_has_stopped_is_reclaimed(
    rig: Rig, redis_url: str
) -> None:
    """Its connection broke while it waited; the server noticed that only after the worker left."""
    refund_id = rig.request(rig.order(AFTER))
    stopped = Broker(redis_client(redis_url), namespace=rig.settings.namespace, middleware=[])
    stopped.beat()
    stopped.leave()
    full = rig.key("refunds")
    assert rig.redis.lmove(full, f"{full}:inflight:{stopped.broker_id}", "LEFT", "RIGHT")
    assert rig.broker.reclaim(60_000) == [stopped.broker_id]
    rig.run_until_idle()
    assert rig.load(refund_id).state is State.REFUNDED
    stopped.client.close()
