"""The background threads requeue what was lost, and survive an outage of Redis."""

from __future__ import annotations

import io
import json
import threading

from dramatiq.errors import ConnectionClosed

from tests.support.rig import AFTER, Rig
from tests.support.scheduling import scheduler_of
from worker.ledger.connection import redis_client
from worker.queue.broker import Broker


def _events(log: io.StringIO) -> list[str]:
    return [json.loads(line)["event"] for line in log.getvalue().splitlines()]


def test_the_leader_gives_back_what_a_dead_worker_held(
    rig: Rig, redis_url: str, log: io.StringIO
) -> None:
    """Pitfall 6: a crash delays a dead worker's messages by seconds only."""
    rig.request(rig.order(AFTER))
    dead = Broker(redis_client(redis_url), namespace=rig.settings.namespace, middleware=[])
    dead.command("fetch", "refunds", wanted=5, known=[])
    rig.redis.zadd(rig.key("workers"), {dead.broker_id: 1})
    scheduler = scheduler_of(rig)
    scheduler.requeue_lost()
    assert rig.redis.llen(rig.key("refunds")) == 0
    scheduler.wake()
    scheduler.requeue_lost()
    assert rig.redis.llen(rig.key("refunds")) == 1
    assert "worker.reclaimed" in _events(log)
    dead.client.close()


def test_a_lost_refund_is_requeued_and_logged(rig: Rig, log: io.StringIO) -> None:
    """The queue is deleted; the ledger still knows the refund."""
    rig.request(rig.order(AFTER))
    rig._one("refunds")
    rig.redis.delete(rig.key("steps"), rig.key("steps.msgs"))
    scheduler = scheduler_of(rig)
    scheduler.wake()
    scheduler.requeue_lost()
    assert "refund.roused" in _events(log)
    assert rig.redis.llen(rig.key("steps")) == 1


def test_an_outage_is_logged_once_and_survived(rig: Rig, log: io.StringIO) -> None:
    """A thread that ended with an error would stop the whole worker without a sign."""
    scheduler = scheduler_of(rig)
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
    assert _events(log).count("worker.redis_lost") == 1


def test_the_threads_start_and_stop(rig: Rig) -> None:
    """No thread is left afterwards."""
    scheduler = scheduler_of(rig)
    scheduler.beat()
    scheduler.start()
    assert all(thread.is_alive() for thread in scheduler._threads)
    scheduler.stop()
    assert not any(thread.is_alive() for thread in scheduler._threads)
