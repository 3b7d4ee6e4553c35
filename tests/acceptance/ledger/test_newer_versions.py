"""Records that a newer version of the worker has written are shown, passed by, and never lost."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from statemachine.flows import State, Transition
from tests.support.rig import AFTER, ANN, BEFORE, STORE_ID, Rig
from worker.errors import Buried
from worker.operations.acts import refunds as acts
from worker.operations.audit import audit
from worker.refund.reasons import reason_of
from worker.refund.request import RefundRequest, parse_request, stored_request

RECORDS = json.loads((Path(__file__).parents[2] / "golden" / "records.json").read_text())


def _in_a_newer_state(rig: Rig) -> str:
    """A refund of an order that only a newer version can continue, in the lane of its store."""
    refund_id = rig.request(rig.order(AFTER))
    rig._one("refunds")
    record = rig.key("refund", refund_id)
    rig.redis.zrem(rig.key("state", "accepted"), refund_id)
    rig.redis.hset(record, "state", "weighed")
    rig.redis.zadd(rig.key("state", "weighed"), {refund_id: 1})
    return refund_id


def _needs_newer(rig: Rig) -> str:
    """A refund whose job asks for something that this version would ignore."""
    refund_id = rig.request(rig.order(AFTER))
    rig._one("refunds")
    rig.redis.hset(rig.key("refund", refund_id), "schema", 99)
    return refund_id


@pytest.mark.parametrize("make", [_in_a_newer_state, _needs_newer])
def test_it_stays_in_its_lane_and_the_others_pass(rig: Rig, make: object) -> None:
    """This version neither calls Wix for it, nor forgets it."""
    assert callable(make)
    refund_id = make(rig)
    others = [rig.request(rig.order(BEFORE)) for _ in range(rig.settings.lane_width + 2)]
    rig.run_queued()
    list(rig.ledger.requeue_lost())
    rig.run_until_idle()
    assert [rig.load(other).state for other in others] == [State.CANCELLED] * len(others)
    assert rig.redis.zrange(rig.key("lane", STORE_ID), 0, -1) == [refund_id]
    assert rig.redis.zrange(rig.key("busy", STORE_ID), 0, -1) == []
    [problem] = audit(rig.ledger, repair=ANN, progress=lambda _: None)
    assert (problem.refund_id, "newer version" in problem.problem) == (refund_id, True)
    assert rig.redis.zrange(rig.key("lane", STORE_ID), 0, -1) == [refund_id]


@pytest.mark.parametrize("make", [_in_a_newer_state, _needs_newer])
def test_a_newer_worker_continues_it(rig: Rig, make: object) -> None:
    """When it leads; here the record becomes one that this version knows."""
    assert callable(make)
    refund_id = make(rig)
    rig.run_queued()
    list(rig.ledger.requeue_lost())
    record = rig.key("refund", refund_id)
    rig.redis.hset(record, mapping={"state": "accepted", "schema": 1})
    list(rig.ledger.requeue_lost())
    rig.run_until_idle()
    assert rig.load(refund_id).state is State.REFUNDED


def test_a_claim_of_it_takes_no_lease(rig: Rig) -> None:
    """Its order is not held for the time of a lease."""
    refund_id = _needs_newer(rig)
    claim = rig.ledger.claim(refund_id, Transition.ASSESS_ORDER, rig.delivery())
    assert claim.status == "newer"
    assert not list(rig.redis.scan_iter(rig.key("lease", "*")))


def test_a_newer_step_is_no_dead_letter(rig: Rig) -> None:
    """Its message is dropped; its refund waits in the lane."""
    refund_id = _in_a_newer_state(rig)
    [message_id] = rig.redis.lrange(rig.key("steps"), 0, -1)
    body = json.loads(rig.redis.hget(rig.key("steps.msgs"), message_id))
    rig.redis.hset(rig.key("steps.msgs"), message_id, json.dumps(body | {"actor_name": "weigh"}))
    rig.run_queued()
    list(rig.ledger.requeue_lost())
    assert rig.broker.quarantined() == {}
    assert rig.redis.zrange(rig.key("lane", STORE_ID), 0, -1) == [refund_id]


def test_it_is_shown(rig: Rig) -> None:
    """With the state as the newer version wrote it, and the fields that this one knows."""
    refund_id = _in_a_newer_state(rig)
    record = rig.key("refund", refund_id)
    request = json.loads(rig.redis.hget(record, "request"))
    line = {"line_item_id": "a", "quantity": 1, "colour": "red"}
    newer = request | {"priority": "high", "lines": [line]}
    rig.redis.hset(record, "request", json.dumps(newer))
    shown = rig.load(refund_id).public()
    assert (shown["state"], shown["refund_id"]) == ("weighed", refund_id)
    assert [refund.refund_id for refund in rig.ledger.newest(limit=5)] == [refund_id]


@pytest.mark.parametrize("stored", RECORDS, ids=lambda stored: str(stored["state"]))
def test_the_digest_of_a_job_is_the_same_in_every_version(stored: dict[str, str]) -> None:
    """Otherwise a repeated job would be a conflict after an upgrade."""
    assert stored_request(stored["request"]).digest == stored["digest"]


def test_a_field_that_is_added_later_counts_when_it_is_given() -> None:
    """A job that does not give it has the digest that it has today."""

    class Later(RefundRequest):
        """With one more field."""

        colour: str = "none"

    job = {
        "refund_id": "rf-1",
        "store_id": STORE_ID,
        "order_id": "67668940-527d-4465-94c6-5475d8c7a412",
    }
    today = parse_request(job).digest
    assert Later.model_validate(job).digest == today
    assert Later.model_validate(job | {"colour": "none"}).digest == today
    assert Later.model_validate(job | {"colour": "red"}).digest != today


def test_a_hold_does_not_hide_what_else_an_older_worker_does_not_know(rig: Rig) -> None:
    """It would start a refund that has expired, after the hold or when it is replayed."""
    refund_id = rig.request(rig.order(AFTER), expires_at="2990-01-01T00:00:00Z")
    rig._one("refunds")
    record = rig.key("refund", refund_id)
    acts.hold(rig.acts, refund_id, operator=ANN)
    assert rig.redis.hget(record, "schema") == "3"
    reason = reason_of(Buried("store_disconnected"))
    assert rig.stores.bury(rig.load(refund_id), reason=reason, line={"event": "e"})
    found = rig.redis.hmget(record, "schema", "schema_before_hold", "hold")
    assert found == ["3", None, None]
