"""Jobs are accepted in batches, each by itself: one bad job never stops the others."""

from __future__ import annotations

import json
import uuid
from typing import Any

import pytest
import redis

from statemachine.flows import State
from tests.support.lost_replies import lose_reply
from tests.support.own_server import own_server
from tests.support.rig import ANN, STORE_ID, Rig
from worker import intake
from worker.operations import dead_letters
from worker.queue.broker import INTAKE
from worker.queue.jobs import BATCH
from worker.refund.request import parse_request

#: Tests below count what the server was asked.
redis_url = own_server


def _send(rig: Rig, refund_id: str, message_id: str = "", **more: object) -> str:
    job = {"refund_id": refund_id, "store_id": STORE_ID, "order_id": str(uuid.uuid4())} | more
    body = {
        "queue_name": "refunds", "actor_name": "request_refund", "args": [], "kwargs": job,
        "options": {}, "message_id": str(uuid.uuid4()), "message_timestamp": 1,
    }  # fmt: skip
    rig.send_raw(json.dumps(body), message_id=message_id or f"m-{refund_id}")
    return refund_id


def _is_clean(rig: Rig) -> bool:
    """Whether no message is queued or in flight, and none keeps a text."""
    inflight = rig.key("refunds", "inflight", rig.broker.broker_id)
    keys = [rig.key("refunds"), rig.key("refunds.msgs"), inflight]
    return not rig.redis.exists(*keys) and rig.broker.held[INTAKE].ids() == []


def test_a_batch_is_accepted_by_one_script(rig: Rig) -> None:
    """Two round trips for a hundred jobs."""
    ids = [_send(rig, "rf-first")]
    rig._one(INTAKE)  # the server knows the scripts from now on
    ids += [_send(rig, f"rf-{n}") for n in range(BATCH + 5)]
    rig.redis.config_resetstat()
    rig._one(INTAKE)
    assert rig.redis.info("commandstats")["cmdstat_evalsha"]["calls"] == 2
    assert rig.ledger.count(State.ACCEPTED) == 1 + BATCH
    rig._one(INTAKE)
    assert sorted(rig.ledger.all_ids()) == sorted(ids)
    assert _is_clean(rig)


def test_a_job_of_a_batch_costs_five_commands(rig: Rig) -> None:
    """Look, and write the record, its history, its outcome and its order; the rest is shared."""
    _send(rig, "rf-first")
    rig._one(INTAKE)
    for n in range(BATCH):
        _send(rig, f"rf-{n}")
    rig.redis.delete(rig.key("idle"))
    rig.redis.config_resetstat()
    rig._one(INTAKE)
    calls = {name: each["calls"] for name, each in rig.redis.info("commandstats").items()}
    of_each_job = {name.removeprefix("cmdstat_") for name, n in calls.items() if n >= BATCH}
    assert of_each_job == {"hmget", "hset", "rpush", "xadd", "sadd"}
    assert sum(calls.values()) < 5 * BATCH + 50
    assert rig.ledger.count(State.ACCEPTED) == 1 + BATCH


def test_the_jobs_of_a_batch_keep_their_order(rig: Rig) -> None:
    """A store's refunds start in the order in which they arrived."""
    ids = [_send(rig, f"rf-{n}") for n in range(20)]
    rig.redis.delete(rig.key("idle"))
    rig._one(INTAKE)
    assert rig.redis.zrange(rig.key("lane", STORE_ID), 0, -1) == ids


def test_a_job_that_has_just_arrived_does_not_wait_for_a_long_line(rig: Rig) -> None:
    """A part of each batch is taken from the end of the line."""
    for n in range(10 * BATCH):
        _send(rig, f"rf-{n}")
    _send(rig, "last")
    rig._one(INTAKE)
    assert rig.ledger.load("last") is not None
    assert rig.ledger.load("rf-0") is not None
    assert rig.ledger.count() == BATCH


def test_one_bad_job_never_stops_the_others(rig: Rig) -> None:
    """Invalid, in conflict, unreadable, for nobody: each becomes its own letter."""
    _send(rig, "good-1")
    _send(rig, "bad", amount="1e3")
    _send(rig, "good-1", message_id="conflict")
    rig.send_raw("no message", message_id="unreadable")
    rig.send_raw(json.dumps({"actor_name": "x", "args": [], "kwargs": {}, "options": {}}), "x")
    _send(rig, "good-2")
    rig.run_queued()
    letters = {name: letter["reason"] for name, letter in rig.broker.quarantined().items()}
    assert letters == {
        "m-bad": "invalid_job",
        "conflict": "conflict",
        "unreadable": "undecodable",
        "x": "unknown_actor",
    }
    assert sorted(rig.ledger.all_ids()) == ["good-1", "good-2"]
    assert _is_clean(rig)


def test_a_record_that_the_script_cannot_read_fails_one_job(rig: Rig) -> None:
    """Its message is kept whole, and can be replayed when the record is repaired."""
    rig.may_have_bugs = True
    rig.redis.set(rig.key("refund", "broken"), "no hash")
    for refund_id in ("first", "broken", "last"):
        _send(rig, refund_id)
    rig._one(INTAKE)
    [(name, letter)] = rig.broker.quarantined().items()
    assert (name, letter["reason"], letter["intact"]) == ("m-broken", "worker_error", True)
    assert rig.ledger.load("first") is not None
    assert rig.ledger.load("last") is not None
    assert _is_clean(rig)
    rig.redis.delete(rig.key("refund", "broken"))


@pytest.mark.parametrize("broken", ["lane", "history", "order"])
def test_what_cannot_be_written_fails_the_jobs_that_need_it(rig: Rig, broken: str) -> None:
    """Their messages are kept whole; no refund without a record waits anywhere."""
    rig.may_have_bugs = True
    rig.redis.delete(rig.key("idle"))
    order_id, other = str(uuid.uuid4()), "4b296c48-0000-4000-8000-000000000002"
    names = {"lane": (STORE_ID,), "history": ("rf-1",), "order": (STORE_ID, order_id)}
    wrong = rig.key(broken, *names[broken])
    rig.redis.set(wrong, "of the wrong type")
    _send(rig, "rf-1", order_id=order_id)
    _send(rig, "rf-1", order_id=order_id, message_id="again")
    _send(rig, "rf-2", store_id=other)
    rig._one(INTAKE)
    assert list(rig.ledger.all_ids()) == ["rf-2"]
    assert rig.ledger.load("rf-1") is None
    assert not rig.redis.exists(rig.key("lane", STORE_ID)) or broken == "lane"
    letters = rig.broker.quarantined()
    assert {name: one["reason"] for name, one in letters.items()} == {
        "m-rf-1": "worker_error",
        "again": "worker_error",
    }
    assert _is_clean(rig)
    rig.redis.delete(wrong)
    for name in letters:
        dead_letters.replay(rig.acts, name, operator=ANN)
    rig._one(INTAKE)
    assert rig.redis.zrange(rig.key("lane", STORE_ID), 0, -1) == ["rf-1"]
    assert rig.load("rf-1").version == 1


def test_a_bug_in_a_check_fails_one_job(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    """The others of its batch are accepted."""
    rig.may_have_bugs = True

    def check(job: Any, **more: Any) -> object:
        if job["refund_id"] == "broken":
            raise KeyError("a bug")
        return parse_request(job, **more)

    monkeypatch.setattr(intake, "parse_request", check)
    for refund_id in ("first", "broken", "last"):
        _send(rig, refund_id)
    rig._one(INTAKE)
    assert [x["reason"] for x in rig.broker.quarantined().values()] == ["worker_error"]
    assert sorted(rig.ledger.all_ids()) == ["first", "last"]
    assert _is_clean(rig)


def test_a_batch_whose_script_failed_comes_again(rig: Rig) -> None:
    """Redis was away: nothing is acknowledged, and all jobs are accepted once."""
    ids = [_send(rig, f"rf-{n}") for n in range(3)]
    script = rig.ledger._scripts["accept"]

    def fail(**_: object) -> None:
        raise redis.ConnectionError("gone")

    rig.ledger._scripts["accept"] = fail  # type: ignore[assignment]  # the script is replaced
    rig._one(INTAKE)
    assert rig.ledger.count() == 0
    rig.ledger._scripts["accept"] = script
    rig._one(INTAKE)
    assert sorted(rig.ledger.all_ids()) == ids
    assert _is_clean(rig)


def test_a_batch_whose_reply_was_lost_is_accepted_once(rig: Rig) -> None:
    """Pitfall 8: redis-py repeats the script."""
    lose_reply(rig.ledger._scripts, "accept")
    ids = [_send(rig, f"rf-{n}") for n in range(3)]
    rig._one(INTAKE)
    assert [rig.load(refund_id).version for refund_id in ids] == [1, 1, 1]
    assert len(rig.redis.xrange(rig.key("outcomes"))) == 3
    assert _is_clean(rig)


def test_a_batch_that_was_not_begun_goes_back_at_shutdown(rig: Rig) -> None:
    """Pitfall 2: each job is on the queue again."""
    for n in range(3):
        _send(rig, f"rf-{n}")
    consumer = rig.broker.consume(INTAKE, prefetch=2, timeout=1)
    message = next(consumer)
    assert message is not None
    consumer.requeue([message])
    consumer.close()
    assert rig.redis.llen(rig.key("refunds")) == 3


@pytest.mark.parametrize("name", ["\ud83d", "IST.a-key-of-wix.aaaabbbb.ccccdddd"])
def test_a_name_in_the_metadata_of_an_invalid_job_harms_no_other_job(rig: Rig, name: str) -> None:
    """Half a character cannot be written, and a secret must not be; the letter masks both."""
    ids = [_send(rig, "rf-1"), _send(rig, "rf-2", metadata={name: "\ud83d"}), _send(rig, "rf-3")]
    rig._one(INTAKE)
    assert sorted(rig.ledger.all_ids()) == [ids[0], ids[2]]
    [(message_id, letter)] = rig.broker.quarantined().items()
    assert (message_id, letter["reason"]) == ("m-rf-2", "invalid_job")
    assert name not in json.dumps(letter, ensure_ascii=False)
