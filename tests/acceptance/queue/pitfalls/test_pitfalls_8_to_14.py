"""Pitfalls 8 to 14 of worker/queue/README.md: the plain broker has them, ours does not."""

from __future__ import annotations

import threading
import time

import dramatiq
import pytest
import redis
from dramatiq.middleware import Shutdown, TimeLimit
from dramatiq.rate_limits import ConcurrentRateLimiter
from dramatiq.rate_limits.backends import RedisBackend

from statemachine.flows import State, Transition
from tests.benchmarks.plain import QUEUE, Stage, Who, port_of, stage, until
from tests.benchmarks.scale import fill_due
from tests.chaos.bench import Point
from tests.chaos.matrix import run
from tests.support.rig import AFTER, ANN, STORE_ID, Rig
from worker.scheduler.requeue import requeue_lost
from worker.simulator import Fault


def _queued_after_a_lost_reply(who: Who, url: str) -> int:
    with stage(who, url, host="127.0.0.1") as it:
        it.harm(f"enqueue {QUEUE}", "reply_lost")
        it.send("job")
        return int(it.redis.llen(f"{it.ns}:{QUEUE}"))


def test_8_a_lost_reply_to_an_enqueue_queues_it_twice_with_the_plain_broker(
    redis_url: str,
) -> None:
    """The Redis client repeats the script, and the script pushes the id again.

    Ours: an id is pushed only if it is new.
    """
    assert _queued_after_a_lost_reply("plain", redis_url) == 2
    assert _queued_after_a_lost_reply("ours", redis_url) == 1


def test_9_a_stalled_acknowledgement_runs_a_job_again_with_the_plain_broker(
    redis_url: str,
) -> None:
    """A timeout is not a connection error there: the job is done, but stays in flight.

    Ours: the client repeats the command, every failure of Redis is a connection error, and the
    committing script acknowledges. A whole refund survives the same fault.
    """
    done: list[str] = []
    with stage("plain", redis_url) as plain:

        @dramatiq.actor(broker=plain.broker, queue_name=QUEUE)
        def work(name: str) -> None:
            done.append(name)

        plain.send("job")
        plain.harm(f"ack {QUEUE}", "request_lost")
        with plain.worker():
            until(lambda: plain.proxy.plan and plain.proxy.plan.done.is_set())
        assert (done, plain.in_flight()) == (["job"], 1)
        assert work.actor_name == "work"
    for command in ("accept", "commit"):
        stalled = Point("standard", "redis", command, 1, "request_lost")
        result = run(port_of(redis_url), stalled)
        assert (result.struck, result.lost, result.doubled, result.stuck) == (True, *[False] * 3)


def test_10_far_delays_block_a_near_one_with_the_plain_broker(rig: Rig, redis_url: str) -> None:
    """Its delay queue is first in, first out, and a worker holds a thousand of its messages.

    Ours is sorted by due time; see also tests/acceptance/queue/test_due_times.py.
    """
    ran: list[str] = []
    with stage("plain", redis_url) as plain:

        @dramatiq.actor(broker=plain.broker, queue_name=QUEUE)
        def work(name: str) -> None:
            ran.append(name)

        for n in range(1_000):
            plain.broker.enqueue(Stage.message(f"far-{n}"), delay=600_000)
        plain.broker.enqueue(Stage.message("near"), delay=1)
        delayed = f"{plain.ns}:{QUEUE}.DQ"
        with plain.worker():
            until(lambda: plain.redis.llen(delayed) == 1)
            plain.send("ordinary")
            until(lambda: ran)
            assert (ran, plain.redis.llen(delayed)) == (["ordinary"], 1)
        assert work.actor_name == "work"
    fill_due(rig.redis, rig.ledger.ns, 1_000)
    rig.simulator.script(Fault("status", "get_order", status=503))
    refund_id = rig.request(rig.order(AFTER))
    rig.run_queued()
    rig.redis.zadd(rig.key("due"), {refund_id: 1})
    assert rig.ledger.wake_due("rig", lead_ms=1)[:2] == (True, 1)


def test_11_a_crash_leaks_a_slot_of_dramatiqs_rate_limiter(rig: Rig, redis_url: str) -> None:
    """A dead worker keeps its slot while others use the limiter: each use renews the expiry.

    Ours uses none of dramatiq's limiters. The scheduler requeues the refund that has a slot of a
    store's lane, and waiting for a slot is not an attempt.
    """
    client: redis.Redis = redis.Redis.from_url(redis_url)
    slots = ConcurrentRateLimiter(
        RedisBackend(client=client), rig.key("slots"), limit=2, ttl=60_000
    )  # type: ignore[no-untyped-call]  # dramatiq's
    assert slots._acquire()  # type: ignore[no-untyped-call]  # never released, as after a kill
    client.pexpire(rig.key("slots"), 5_000)
    with slots.acquire():
        pass
    assert client.get(rig.key("slots")) == b"1"
    assert client.pttl(rig.key("slots")) > 5_000
    client.close()
    refund_id = rig.request(rig.order(AFTER))
    rig._one("refunds")
    rig.redis.delete(rig.key("steps"), rig.key("steps.msgs"))
    rig.redis.zadd(rig.key("workers"), {"killed": rig.redis.time()[0] * 1000})
    rig.ledger.claim(refund_id, Transition.ASSESS_ORDER, rig.delivery("killed"))
    assert requeue_lost(rig.ledger) == 0
    rig.redis.zadd(rig.key("workers"), {"killed": 1})
    assert requeue_lost(rig.ledger) == 1
    rig.run_until_idle()
    assert rig.load(refund_id).state is State.REFUNDED
    assert rig.redis.zcard(rig.key("busy", STORE_ID)) == 0


def _unknown_actor(who: Who, url: str) -> Stage:
    """Let a worker of the previous version receive a message for a new actor."""
    with stage(who, url) as it:
        it.broker.enqueue(Stage.message("job", actor="of_the_next_version"))
        with it.worker():
            until(lambda: it.redis.llen(f"{it.ns}:{QUEUE}") == 0 and it.in_flight() == 0)
        return it


def test_12_an_unknown_actor_ends_a_job_with_the_plain_broker(redis_url: str, rig: Rig) -> None:
    """A deployment in the wrong order turns live jobs into dead letters, deleted after seven days.

    Ours keeps the whole message without expiry and restores it on demand.
    """
    plain = _unknown_actor("plain", redis_url)
    letters = plain.redis.zcard(f"{plain.ns}:{QUEUE}.XQ")
    assert (letters, plain.redis.llen(f"{plain.ns}:{QUEUE}")) == (1, 0)
    body = Stage.message("job", actor="of_the_next_version").encode().decode()
    rig.send_raw(body)
    rig.run_queued()
    assert rig.redis.zcard(rig.key("refunds.XQ")) == 0
    (message_id, letter), *_ = rig.broker.quarantined().items()
    assert (letter["reason"], letter["intact"]) == ("unknown_actor", True)
    assert rig.acts.restore(message_id, letter, ANN.act("dead.replay", message_id))
    assert rig.redis.lrange(rig.key(QUEUE), 0, -1) == [message_id]
    assert rig.redis.ttl(rig.key("quarantine")) in {-1, -2}


def test_13_some_deaths_tell_nobody_with_the_plain_broker(redis_url: str, rig: Rig) -> None:
    """An exception in `throws` makes a dead letter without calling `on_retry_exhausted`.

    Ours: a failed message always ends in the consumer's `nack`, which keeps it as a dead letter.
    """
    called: list[object] = []
    with stage("plain", redis_url) as plain:

        @dramatiq.actor(
            broker=plain.broker, queue_name=QUEUE, throws=ValueError, on_retry_exhausted="tell"
        )
        def work(name: str) -> None:
            raise ValueError(name)

        @dramatiq.actor(broker=plain.broker, queue_name=QUEUE)
        def tell(*what: object) -> None:
            called.append(what)

        plain.send("job")
        with plain.worker():
            until(lambda: plain.redis.zcard(f"{plain.ns}:{QUEUE}.XQ") == 1)
        assert (called, plain.redis.llen(f"{plain.ns}:{QUEUE}")) == ([], 0)
        assert (work.actor_name, tell.actor_name) == ("work", "tell")

    def bug(**_: object) -> None:
        raise ValueError("a bug of ours")

    rig.may_have_bugs = True

    rig.broker.actors["request_refund"].fn = bug
    rig.request(rig.order(AFTER))
    rig.run_queued()
    assert [letter["reason"] for letter in rig.broker.quarantined().values()] == ["worker_error"]


def test_14_a_time_limit_strikes_between_wixs_answer_and_the_record_with_the_plain_broker(
    redis_url: str, rig: Rig
) -> None:
    """The exception is raised in the thread at any instruction: the refund is made, not recorded.

    Ours: no middleware raises anything in a running step. Calls to Wix have a total timeout, and a
    step that does not finish at shutdown is left to other workers.
    """
    refunded, written = threading.Event(), threading.Event()
    with stage("plain", redis_url) as plain:

        @dramatiq.actor(broker=plain.broker, queue_name=QUEUE, time_limit=1000, max_retries=0)
        def work(_: str) -> None:
            refunded.set()
            until_s = time.monotonic() + 30
            while time.monotonic() < until_s:
                pass  # between the answer and the record, at any instruction
            written.set()

        plain.broker.emit_after("process_boot")  # as dramatiq's own program does
        plain.send("job")
        with plain.worker():
            until(lambda: plain.redis.zcard(f"{plain.ns}:{QUEUE}.XQ") == 1)
        assert (refunded.is_set(), written.is_set()) == (True, False)
        assert work.actor_name == "work"
    assert not any(isinstance(m, TimeLimit | Shutdown) for m in rig.broker.middleware)
    with pytest.raises(ValueError, match="time_limit"):
        dramatiq.actor(broker=rig.broker, queue_name=QUEUE, time_limit=1)(bool)
