"""Jobs have a thread of their own: they do not wait for steps, and steps have all other threads."""

from __future__ import annotations

import json
import threading
import uuid
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.support.processes import wait_until
from tests.support.rig import AFTER, STORE_ID, Rig, settings_for
from worker.queue.broker import INTAKE, STEPS
from worker.queue.jobs import BATCH
from worker.queue.precedence import LONGEST_S, Precedence
from worker.simulator import Simulator

THREADS = 2


@pytest.fixture
def rig(redis_url: str, simulator: Simulator) -> Iterator[Rig]:
    """A worker with few threads."""
    rig = Rig(settings_for(redis_url, threads=str(THREADS)), simulator)
    yield rig
    rig.close()


def _send(rig: Rig, refund_id: str) -> str:
    job = {"refund_id": refund_id, "store_id": STORE_ID, "order_id": str(uuid.uuid4())}
    body = {
        "queue_name": INTAKE, "actor_name": "request_refund", "args": [], "kwargs": job,
        "options": {}, "message_id": f"m-{refund_id}", "message_timestamp": 1,
    }  # fmt: skip
    rig.send_raw(json.dumps(body), message_id=f"m-{refund_id}")
    return refund_id


@contextmanager
def _hanging_wix(rig: Rig) -> Iterator[None]:
    """A worker whose threads for steps all wait in a call."""
    for _ in range(THREADS):
        rig.request(rig.order(AFTER))
    worker = rig.app.worker()
    # No call is answered as long as this thread has the lock.
    with rig.simulator.lock:
        worker.start()
        wait_until(lambda: rig.app.running.steps == THREADS)
        yield
    worker.stop()


def _told(rig: Rig) -> list[str]:
    """The refunds of which upstream was told that they are accepted."""
    events = [json.loads(fields["event"]) for _, fields in rig.redis.xrange(rig.key("outcomes"))]
    return [one["subject"] for one in events if one["type"] == "refund.accepted"]


def test_jobs_are_accepted_while_wix_hangs(rig: Rig) -> None:
    """More than one batch of them, while every thread for steps waits in a call."""
    with _hanging_wix(rig):
        ids = {_send(rig, f"rf-{n}") for n in range(BATCH + 20)}
        wait_until(lambda: ids <= set(_told(rig)))
        assert rig.app.running.steps == THREADS
    assert len(_told(rig)) == THREADS + len(ids)


def test_a_batch_that_was_not_begun_at_the_end_goes_back(rig: Rig) -> None:
    """Its consumer may fetch once more while the thread stops: others take the jobs at once."""
    worker = rig.app.worker()
    worker._intake.run = lambda: None  # type: ignore[method-assign]  # it stops too early
    worker.start()
    _send(rig, "rf-1")
    wait_until(rig.broker.held[INTAKE].ids)
    worker.stop()
    assert not worker.is_busy
    assert rig.redis.lrange(rig.key(INTAKE), 0, -1) == ["m-rf-1"]
    assert not rig.redis.exists(rig.key(INTAKE, "inflight", rig.broker.broker_id))


def test_jobs_go_before_steps_while_their_line_is_long(
    redis_url: str, simulator: Simulator
) -> None:
    """Half of the threads run steps meanwhile, and none of them goes on; but not for ever."""
    now_s = 0.0
    rig = Rig(settings_for(redis_url, lane_width="8"), simulator)
    rig.broker.precedence = Precedence(lambda: now_s)
    rig.broker.hands_over = True
    for _ in range(8):
        rig.request(rig.order(AFTER))
    rig._one(INTAKE)
    assert rig.broker.may_go_on()
    for n in range(BATCH + 1):
        _send(rig, f"rf-{n}")
    rig._one(INTAKE)
    assert not rig.broker.may_go_on()
    steps = rig.broker.consume(STEPS, prefetch=2 * 8, timeout=1)
    fetched = [next(steps) for _ in range(4)]
    assert next(steps) is None
    now_s = LONGEST_S
    fetched += [next(steps) for _ in range(4)]
    assert None not in fetched
    steps.requeue([message for message in fetched if message])
    assert rig.broker.may_go_on()
    now_s = 0.0
    rig._one(INTAKE)
    assert rig.broker.may_go_on()
    rig.close()


def test_steps_go_on_while_the_thread_of_jobs_waits_for_more(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A full batch was the last one: the line is short before anybody waits for the next job."""
    rig.broker.hands_over = True
    for n in range(BATCH):
        _send(rig, f"rf-{n}")
    rig._one(INTAKE)
    seen = []
    jobs = rig.broker.consume(INTAKE, prefetch=2 * THREADS, timeout=1)
    monkeypatch.setattr(jobs, "_wait", lambda: seen.append(rig.broker.may_go_on()))
    assert next(jobs) is None
    assert seen == [True]
    jobs.close()


def test_steps_have_all_other_threads_while_jobs_are_taken_in(rig: Rig) -> None:
    """A process holds a batch, and a step for each thread; the next batch waits for this one."""
    for n in range(THREADS + 1):
        rig.request(rig.order(AFTER), f"rf-{n}")
    rig._one(INTAKE)
    _send(rig, "rf-9")
    jobs = rig.broker.consume(INTAKE, prefetch=2 * THREADS, timeout=1)
    batch = next(jobs)
    assert batch is not None
    _send(rig, "rf-10")
    assert next(jobs) is None
    steps = rig.broker.consume(STEPS, prefetch=2 * THREADS, timeout=1)
    for _ in range(THREADS):
        assert next(steps) is not None
    assert next(steps) is None
    jobs.close()
    steps.close()
    rig._run(rig.broker.get_actor(batch.actor_name), batch)
    jobs.ack(batch)
    again = rig.broker.consume(INTAKE, prefetch=2 * THREADS, timeout=1)
    assert next(again) is not None
    again.close()


def test_a_worker_may_be_stopped_before_it_has_begun_to_fetch(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A signal comes right after the start, and there is no time to wait."""
    may_fetch, consume = threading.Event(), rig.broker.consume
    monkeypatch.setattr(rig.broker, "consume", lambda **how: may_fetch.wait() and consume(**how))
    worker = rig.app.worker()
    worker.start()
    worker.stop(timeout=0)
    may_fetch.set()
    for thread in worker.consumers.values():
        thread.join()
