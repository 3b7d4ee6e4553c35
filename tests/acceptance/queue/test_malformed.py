"""Messages that any dramatiq producer could send by mistake or on purpose."""

from __future__ import annotations

import io
import json
import time
from typing import Any

import dramatiq
import pytest
from dramatiq.brokers.redis import RedisBroker

from statemachine.flows import State
from tests.support.letters import letters
from tests.support.processes import wait_until
from tests.support.rig import AFTER, ANN, STORE_ID, Rig
from worker.operations import dead_letters

JOB = {"refund_id": "rf-1", "store_id": STORE_ID, "order_id": STORE_ID}
HOUR_MS = 3_600_000


def _body(**parts: Any) -> str:
    envelope = {
        "queue_name": "refunds", "actor_name": "request_refund", "args": [], "kwargs": JOB,
        "options": {}, "message_id": "m-1", "message_timestamp": 1,
    }  # fmt: skip
    return json.dumps(envelope | parts)


def _nested(levels: int) -> Any:
    value: Any = "x"
    for _ in range(levels):
        value = [value]
    return value


@pytest.mark.parametrize(
    ("body", "field"),
    [
        (_body(args=["rf-1"]), "args"),
        (_body(args=[JOB], kwargs={}), "args"),
        (_body(args=None), "args"),
        (_body(args="rf-1"), "args"),
        (_body(kwargs=None), "kwargs"),
        (_body(kwargs=[JOB]), "kwargs"),
        (_body(kwargs="rf-1"), "kwargs"),
        (_body(options=None), "options"),
        (_body(options=[]), "options"),
        (_body(options={"eta": "tomorrow"}), "eta"),
        (_body(options={"eta": True}), "eta"),
        (_body(options={"eta": -1}), "eta"),
        (_body(options={"eta": float("nan")}), "eta"),
        (_body(options={"eta": 10**300}), "eta"),
        (_body(kwargs=JOB | {"metadata": _nested(21)}), "kwargs"),
        (_body(kwargs=JOB | {"metadata": _nested(500)}), "kwargs"),
        (_body(kwargs=JOB | {"metadata": _nested(10)}), "metadata"),
        (_body(kwargs=JOB | {"refund_id": _nested(10)}), "refund_id"),
        (_body().replace('"refund_id"', '"amount": "1.00", "refund_id": "rf-0", "refund_id"'),
         "refund_id"),
        (_body().replace('"kwargs"', '"kwargs": {}, "kwargs"'), "kwargs"),
    ],
)  # fmt: skip
def test_a_malformed_job_is_invalid_and_says_what_is_wrong(
    rig: Rig, log: io.StringIO, body: str, field: str
) -> None:
    """It is not a bug of the worker, and nothing is refunded."""
    rig.send_raw(body)
    good = rig.request(rig.order(AFTER))
    rig.run_until_idle()
    [letter] = letters(rig)
    assert letter["reason"] == "invalid_job"
    assert field in letter["problems"]
    assert "refund.invalid" in log.getvalue()
    assert rig.load(good).state is State.REFUNDED
    assert rig.ledger.load("rf-1") is None
    with pytest.raises(dead_letters.CannotReplay, match="send the job again"):
        dead_letters.replay(rig.acts, "m-1", operator=ANN)


@pytest.mark.parametrize(
    "parts",
    [
        {"args": []},
        {"args": [7]},
        {"args": ["rf-1", "rf-2"]},
        {"kwargs": {"refund_id": "rf-1"}},
        {"kwargs": None},
        {"options": None},
        {"actor_name": None},
    ],
)
def test_a_malformed_message_for_a_step_could_not_be_read(rig: Rig, parts: dict[str, Any]) -> None:
    """Another program has written to the queue of steps."""
    step = {"queue_name": "steps", "actor_name": "assess_order", "args": ["rf-1"], "kwargs": {}}
    rig.send_raw(_body(**step | parts), queue="steps")
    rig.run_until_idle()
    [letter] = letters(rig)
    assert letter["reason"] == "undecodable"


@pytest.mark.parametrize(
    "options", [{"throws": "x"}, {"pipe_target": {"a": 1}}, {"retries": "x"}, {"failed_with": "x"},
                {"acknowledged": True}, {"uncommitted": True}, {"redis_message_id": "other"}],
)  # fmt: skip
def test_no_option_of_a_message_is_obeyed(rig: Rig, options: dict[str, Any]) -> None:
    """Some would end a thread of dramatiq, others would lose the message."""
    order = rig.order(AFTER)
    rig.send_raw(_body(kwargs=JOB | {"order_id": order.id}, options=options))
    worker = rig.app.worker()
    worker.start()
    wait_until(lambda: rig.ledger.load("rf-1") is not None)
    worker.stop()
    rig.app.scheduler.give_back(0)  # as at the end of the program
    rig.run_until_idle()
    assert rig.load("rf-1").state is State.REFUNDED
    assert rig.broker.quarantined() == {}
    assert rig.redis.hlen(rig.key("refunds.msgs")) == 0


def _delayed(rig: Rig, job: dict[str, Any], delay_ms: int) -> None:
    """Send a job with a delay, as any program with dramatiq does."""
    plain = RedisBroker(client=rig.redis, namespace=rig.ledger.ns)  # type: ignore[no-untyped-call]  # dramatiq's
    plain.declare_queue("refunds")
    message: dramatiq.Message[None] = dramatiq.Message(
        queue_name="refunds", actor_name="request_refund", args=(), kwargs=job, options={}
    )
    plain.enqueue(message, delay=delay_ms)
    rig.broker.reclaim(60_000)


def test_a_producers_delay_is_the_due_time_of_the_refund(rig: Rig, log: io.StringIO) -> None:
    """It is accepted at once and visible, but nothing is read or refunded before that time."""
    order = rig.order(AFTER)
    now_ms = time.time() * 1000
    _delayed(rig, JOB | {"order_id": order.id}, HOUR_MS)
    rig.run_queued()
    refund = rig.load("rf-1")
    assert refund.state is State.ACCEPTED
    assert abs(refund.due_at_ms - now_ms - HOUR_MS) < 60_000
    accepted = json.loads(log.getvalue().splitlines()[-1])
    assert (accepted["event"], accepted["due_at_ms"] > now_ms) == ("refund.accepted", True)
    assert rig.ledger.history("rf-1")[0]["due_at_ms"] == accepted["due_at_ms"]
    assert rig.ledger.wake_due("rig", lead_ms=1).woken == 0
    rig.run_queued()
    assert rig.simulator.calls == []
    assert rig.problems() == []
    rig.run_until_idle()
    assert rig.load("rf-1").state is State.REFUNDED


def test_a_repeat_without_the_delay_changes_nothing(rig: Rig) -> None:
    """The same job is the same refund; its due time stays."""
    order = rig.order(AFTER)
    _delayed(rig, JOB | {"order_id": order.id}, HOUR_MS)
    rig.run_queued()
    rig.request(order, "rf-1")
    rig.run_queued()
    assert rig.load("rf-1").due_at_ms > 0
    assert letters(rig) == []


def test_a_delay_that_is_over_starts_at_once(rig: Rig) -> None:
    """The message may have waited on the queue for longer."""
    order = rig.order(AFTER)
    rig.send_raw(_body(kwargs=JOB | {"order_id": order.id}, options={"eta": 1_700_000_000_000}))
    rig.run_queued()
    assert rig.load("rf-1").due_at_ms == 0


def test_a_message_for_a_later_version_keeps_its_delay(rig: Rig) -> None:
    """Its dead letter holds the message as it arrived."""
    options = {"eta": 1_700_000_000_000, "x": "y"}
    rig.send_raw(_body(actor_name="of_tomorrow", options=options))
    rig.run_queued()
    [letter] = rig.broker.quarantined().values()
    assert json.loads(letter["message"])["options"] == options
