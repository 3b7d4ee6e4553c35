"""Pitfalls 1 to 7 of worker/queue/README.md: the plain broker has them, ours does not.

The same scenario runs on both, on a real server.
"""

from __future__ import annotations

import json
import random
import tempfile
import time
from pathlib import Path

import dramatiq
from dramatiq.brokers.redis import RedisBroker

from statemachine.flows import State
from tests.benchmarks.plain import QUEUE, Stage, Who, port_of, stage, until
from tests.chaos.bench import Point
from tests.chaos.matrix import run
from tests.chaos.server import Server
from tests.support.rig import AFTER, Rig, settings_for
from worker.ledger.connection import redis_client
from worker.queue.broker import Broker
from worker.simulator import Fault, Simulator


def test_1_a_blip_at_retry_time_loses_the_job_with_the_plain_broker(redis_url: str) -> None:
    """The retry's enqueue fails, the error is swallowed, the message is acknowledged.

    Ours: the script that commits the step writes the next attempt; otherwise the message stays.
    """
    ran: list[str] = []
    with stage("plain", redis_url) as plain:

        @dramatiq.actor(broker=plain.broker, queue_name=QUEUE)
        def work(name: str) -> None:
            ran.append(name)
            raise RuntimeError("Wix is down")

        plain.send("job")
        plain.harm(f"enqueue {QUEUE}.DQ", "request_lost")
        with plain.worker():
            until(lambda: plain.left() == 0)
        assert (ran, plain.left(), plain.in_flight()) == (["job"], 0, 0)
        assert work.actor_name == "work"
    retrying = Point("standard", "redis", "commit", 1, "request_lost")
    result = run(port_of(redis_url), retrying, Fault("status", "get_order", status=503))
    assert (result.struck, result.lost, result.doubled, result.stuck) == (True, *[False] * 3)


def _stranded(who: Who, url: str) -> tuple[int, int]:
    with stage(who, url) as it:
        it.send(*"abcde")
        it.harm(f"fetch {QUEUE}", "reply_lost")
        return len(it.take_all()), it.in_flight()


def test_2_a_lost_reply_to_a_fetch_strands_the_prefetch_with_the_plain_broker(
    redis_url: str,
) -> None:
    """The server has handed out five messages, and nobody has received them.

    Ours: what is in flight for this worker but unknown to it is handed out by the next fetch.
    """
    assert _stranded("plain", redis_url) == (0, 5)
    assert _stranded("ours", redis_url) == (5, 0)


def test_3_a_restart_of_redis_strands_waiting_retries_with_the_plain_broker() -> None:
    """They wait in the worker's memory, which is discarded; a graceful stop returns none of them.

    Ours: nothing waits in memory. What waits is in the ledger, with its due time.
    """
    with tempfile.TemporaryDirectory() as place:
        server = Server(Path(place))
        server.start()
        try:
            with stage("plain", server.url, timeout_s=10) as plain:
                plain.broker.enqueue(Stage.message("retry"), delay=600_000)
                rig = Rig(settings_for(server.url), Simulator())
                rig.simulator.script(Fault("status", "get_order", status=503))
                refund_id = rig.request(rig.order(AFTER))
                rig.run_queued()
                delayed = f"{plain.ns}:{QUEUE}.DQ"
                with plain.worker() as worker:
                    consumer = worker.consumers[f"{QUEUE}.DQ"]
                    until(lambda: consumer.delay_queue.qsize() == 1)
                    server.end()
                    until(lambda: consumer.delay_queue.qsize() == 0)
                    server.start()
                    seen = len(plain.proxy.seen)
                    until(lambda: f"fetch {QUEUE}.DQ" in plain.proxy.seen[seen:])
                assert (plain.redis.llen(delayed), plain.in_flight()) == (0, 1)
            assert rig.redis.zscore(rig.key("due"), refund_id)
            rig.make_due()
            rig.run_queued()
            # The server may have forgotten a call.
            rig.redis.hincrby(rig.key("clock"), "doubt_ms", -rig.settings.settle_delay_ms)
            rig.run_until_idle()
            assert rig.load(refund_id).state is State.REFUNDED
            rig.redis.close()
            rig.broker.client.close()
        finally:
            server.end()


def _neighbours(who: Who, url: str) -> tuple[list[str], int]:
    with stage(who, url) as it:
        it.redis.hset(f"{it.ns}:{QUEUE}.msgs", "bad", "no message")
        it.redis.rpush(f"{it.ns}:{QUEUE}", "bad")
        it.send(*"abc")
        return it.take_all(), it.in_flight()


def test_4_an_undecodable_message_strands_its_neighbours_with_the_plain_broker(
    redis_url: str,
) -> None:
    """The consumer is discarded with everything that it had fetched.

    Ours: the bad message goes into quarantine, and its neighbours run.
    """
    assert _neighbours("plain", redis_url) == ([], 4)
    assert _neighbours("ours", redis_url) == (["a", "b", "c"], 0)


def _old_letters(who: Who, url: str) -> int:
    """Return how many dead letters are left after a producer with dramatiq's defaults sends."""
    with stage(who, url) as it:
        it.send("doomed")
        consumer = it.broker.consume(QUEUE, prefetch=2, timeout=1)
        message = next(consumer)
        assert message is not None
        message.fail()
        consumer.nack(message)
        eight_days_ago = int(time.time() * 1000) - 8 * 86_400_000
        for letter in it.redis.zrange(f"{it.ns}:{QUEUE}.XQ", 0, -1):
            it.redis.zadd(f"{it.ns}:{QUEUE}.XQ", {letter: eight_days_ago})
        # Maintenance runs with 1 in 1,000 commands: here with every command.
        producer = RedisBroker(url=url, namespace=it.ns, maintenance_chance=1_000_000)  # type: ignore[no-untyped-call]  # dramatiq's
        producer.enqueue(Stage.message("other"))
        producer.client.close()
        kept = it.redis.hlen(f"{it.ns}:{QUEUE}.XQ.msgs") + it.redis.hlen(f"{it.ns}:quarantine")
        return int(kept)


def test_5_dead_letters_of_the_plain_broker_are_deleted_by_any_producer(redis_url: str) -> None:
    """After seven days, by whichever process runs the maintenance with the default setting.

    Ours are records and a hash without expiry, which dramatiq's scripts do not touch.
    """
    assert _old_letters("plain", redis_url) == 0
    assert _old_letters("ours", redis_url) == 1


def test_6_a_crash_is_noticed_by_lottery_with_the_plain_broker(redis_url: str) -> None:
    """A worker died a minute ago; two minutes of an idle worker's commands bring nothing back.

    Ours: the leader reclaims its messages within seconds.
    """
    long_ago = int(time.time() * 1000) - 61_000
    with stage("plain", redis_url) as plain:
        plain.send("job")
        assert next(plain.broker.consume(QUEUE, prefetch=2, timeout=1)) is not None
        plain.redis.zadd(f"{plain.ns}:__heartbeats__", {plain.broker.broker_id: long_ago})
        other = RedisBroker(url=redis_url, namespace=plain.ns)  # type: ignore[no-untyped-call]  # dramatiq's
        random.seed(4)  # like most seeds: no maintenance in 160 commands
        consumers = [other.consume(QUEUE, prefetch=2, timeout=1) for _ in range(160)]
        assert [next(consumer) for consumer in consumers] == [None] * 160
        other.client.close()
    with stage("ours", redis_url) as ours:
        ours.send("job")
        assert next(ours.broker.consume(QUEUE, prefetch=2, timeout=1)) is not None
        ours.redis.zadd(f"{ours.ns}:workers", {ours.broker.broker_id: long_ago})
        leader = Broker(redis_client(redis_url), namespace=ours.ns.strip("{}"), middleware=[])
        assert leader.reclaim(10_000) == [ours.broker.broker_id]
        assert next(leader.consume(QUEUE, prefetch=2, timeout=1)) is not None
        leader.client.close()


def test_7_a_wrong_clock_runs_a_message_twice_with_the_plain_broker(redis_url: str) -> None:
    """A client whose clock is 61 s ahead takes a living worker for dead.

    Ours: the scripts read the server's clock, and no argument is a time. (A message that does come
    twice is redundant: the ledger grants a step to one claim only.)
    """
    with stage("plain", redis_url) as plain:
        plain.send("job")
        assert next(plain.broker.consume(QUEUE, prefetch=2, timeout=1)) is not None
        ahead_ms = int(time.time() * 1000) + 61_000
        arguments: list[str | int] = [
            "fetch",
            ahead_ms,
            QUEUE,
            "ahead",
            60_000,
            86_400_000,
            1,
            1_000,
            2,
        ]
        fetched = plain.broker.scripts["dispatch"](args=arguments, keys=[plain.ns])
        assert [json.loads(body)["args"] for body in fetched] == [["job"]]
    with stage("ours", redis_url) as ours:
        ours.broker.beat()
        ours.send("job")
        assert next(ours.broker.consume(QUEUE, prefetch=2, timeout=1)) is not None
        other = Broker(redis_client(redis_url), namespace=ours.ns.strip("{}"), middleware=[])
        assert other.reclaim(10_000) == []
        with ours.redis.monitor() as monitor:
            other.beat()
            sent = next(s for s in monitor.listen() if s["command"].startswith("EVALSHA"))
        assert not any(part.isdigit() and len(part) == 13 for part in sent["command"].split())
        other.client.close()
