"""The threads beside the steps: they heal, and they survive an outage of Redis."""

from __future__ import annotations

import io
import json
import logging
import threading
from collections.abc import Iterator

import pytest
import structlog
from dramatiq.errors import ConnectionClosed

from tests.support.rig import AFTER, Rig
from worker.ledger.connection import redis_client
from worker.observability.logs import configure_logs
from worker.queue.broker import Broker
from worker.scheduler.scheduler import Scheduler


@pytest.fixture
def told() -> Iterator[io.StringIO]:
    """What is logged."""
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    out = io.StringIO()
    configure_logs("json", "info", out)
    yield out
    root.handlers, root.level = handlers, level
    structlog.reset_defaults()


def _events(told: io.StringIO) -> list[str]:
    return [json.loads(line)["event"] for line in told.getvalue().splitlines()]


def _scheduler(rig: Rig) -> Scheduler:
    return Scheduler(rig.broker, rig.ledger, rig.prober(), rig.settings)


def test_the_leader_gives_back_what_a_dead_worker_held(
    rig: Rig, redis_url: str, told: io.StringIO
) -> None:
    """A crash costs seconds, not a maintenance lottery (pitfall 6)."""
    rig.request(rig.order(AFTER))
    dead = Broker(redis_client(redis_url), namespace=rig.settings.namespace, middleware=[])
    dead.command("fetch", "refunds", wanted=5, known=[])
    rig.redis.zadd(rig.key("workers"), {dead.broker_id: 1})
    scheduler = _scheduler(rig)
    scheduler.requeue_lost()
    assert rig.redis.llen(rig.key("refunds")) == 0
    scheduler.wake()
    scheduler.requeue_lost()
    assert rig.redis.llen(rig.key("refunds")) == 1
    assert "worker.reclaimed" in _events(told)
    dead.client.close()


def test_what_was_forgotten_is_roused_and_told(rig: Rig, told: io.StringIO) -> None:
    """The queue is gone; the ledger is not."""
    rig.request(rig.order(AFTER))
    consumer = rig.broker.consume("refunds", prefetch=2, timeout=1)
    message = next(consumer)
    assert message is not None
    rig._run(rig.broker.get_actor("request_refund"), message)
    consumer.ack(message)
    rig.redis.delete(rig.key("steps"), rig.key("steps.msgs"))
    scheduler = _scheduler(rig)
    scheduler.wake()
    scheduler.requeue_lost()
    assert "refund.roused" in _events(told)
    assert rig.redis.llen(rig.key("steps")) == 1


def test_an_outage_is_told_once_and_survived(rig: Rig, told: io.StringIO) -> None:
    """A thread that died of a blip would stop the whole worker quietly."""
    scheduler = _scheduler(rig)
    turns: list[int] = []
    over = threading.Event()

    def turn() -> None:
        turns.append(1)
        if len(turns) < 4:
            raise ConnectionClosed("gone")  # type: ignore[no-untyped-call]  # dramatiq's
        over.set()

    thread = threading.Thread(target=scheduler._every, args=(1, turn))
    thread.start()
    assert over.wait(20)
    scheduler._stop.set()
    thread.join(20)
    assert _events(told).count("worker.redis_lost") == 1


def test_the_threads_start_and_stop(rig: Rig) -> None:
    """And leave nothing behind."""
    scheduler = _scheduler(rig)
    before = threading.active_count()
    scheduler.beat()
    scheduler.start()
    assert threading.active_count() == before + 4
    scheduler.stop()
    assert threading.active_count() == before
