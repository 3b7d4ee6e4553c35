"""How jobs are accepted: valid, invalid, repeated and unreadable ones."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable
from typing import Any

import dramatiq
import pytest
from dramatiq.brokers.redis import RedisBroker
from dramatiq.errors import ConnectionClosed

from statemachine.flows import State
from tests.support.letters import letters
from tests.support.rig import AFTER, ANN, STORE_ID, Rig
from worker.client import RefundClient, enqueue
from worker.operations import dead_letters
from worker.refund.request import InvalidJob, parse_request


def _message(**job: object) -> str:
    message: dramatiq.Message[None] = dramatiq.Message(
        queue_name="refunds", actor_name="request_refund", args=(), kwargs=job, options={}
    )
    return message.encode().decode()


def test_a_job_with_a_bad_field_becomes_a_dead_letter_that_names_it(rig: Rig) -> None:
    """The job is not lost, and the worker continues with the next one."""
    rig.send_raw(_message(refund_id="rf-1", store_id=STORE_ID, order_id="7", amount="1e3"))
    good = rig.request(rig.order(AFTER))
    rig.run_until_idle()
    found = letters(rig)
    assert [letter["reason"] for letter in found] == ["invalid_job"]
    assert set(found[0]["problems"]) == {"order_id", "amount"}
    assert found[0]["refund_id"] == "rf-1"
    assert rig.load(good).state is State.REFUNDED


def test_a_bad_job_cannot_be_replayed_as_it_is(rig: Rig) -> None:
    """It would fail again, so the dead letter says what to do instead."""
    rig.send_raw(_message(refund_id="rf-1"), message_id="bad")
    rig.run_queued()
    with pytest.raises(dead_letters.CannotReplay, match="send the job again"):
        dead_letters.replay(rig.acts, "bad", operator=ANN)
    found = dead_letters.find(rig.ledger, rig.broker, "bad")
    assert found is not None
    assert found["job"] == {"refund_id": "rf-1"}


def test_the_same_job_twice_is_one_refund(rig: Rig) -> None:
    """The same refund_id with the same content changes nothing."""
    order = rig.order(AFTER)
    refund_id = rig.request(order)
    rig.run_until_idle()
    version = rig.load(refund_id).version
    rig.request(order, refund_id)
    rig.run_until_idle()
    assert rig.load(refund_id).version == version
    assert len(order.refunds) == 1
    assert letters(rig) == []


def test_the_same_id_with_other_content_is_refused(rig: Rig) -> None:
    """The first refund is not changed, and the second job becomes a dead letter."""
    order, other = rig.order(AFTER), rig.order(AFTER)
    refund_id = rig.request(order)
    rig.request(other, refund_id)
    rig.run_until_idle()
    assert rig.load(refund_id).request.order_id == order.id
    assert other.refunds == []
    found = letters(rig)
    assert [(x["reason"], x["order_id"]) for x in found] == [("conflict", other.id)]


@pytest.mark.parametrize("body", ["not json", "[]", "{}", '{"queue_name": 1}', "\u0000"])
def test_a_message_that_cannot_be_read_strands_no_neighbour(rig: Rig, body: str) -> None:
    """It becomes a dead letter, and the next message runs."""
    rig.send_raw(body)
    good = rig.request(rig.order(AFTER))
    rig.run_until_idle()
    assert rig.load(good).state is State.REFUNDED
    found = letters(rig)
    assert len(found) == 1


def test_a_message_for_an_unknown_actor_can_be_replayed_after_a_deploy(rig: Rig) -> None:
    """Pitfall 12: a new actor name must not lose live jobs."""
    order = rig.order(AFTER)
    enqueue(
        rig.broker, parse_request({"refund_id": "rf-1", "store_id": STORE_ID, "order_id": order.id})
    )
    message_id = rig.redis.lindex(rig.key("refunds"), 0)
    body = rig.redis.hget(rig.key("refunds.msgs"), message_id)
    rig.redis.hset(rig.key("refunds.msgs"), message_id, body.replace("request_refund", "new_actor"))
    rig.run_queued()
    found = letters(rig)
    assert [x["reason"] for x in found] == ["unknown_actor"]
    [letter_id] = rig.broker.quarantined()
    dead_letters.replay(rig.acts, letter_id, operator=ANN)
    assert rig.redis.hget(rig.key("refunds.msgs"), letter_id)
    assert letters(rig) == []


def test_a_plain_dramatiq_producer_may_enqueue(rig: Rig) -> None:
    """Upstream needs none of our code: queue, actor and keyword arguments are the interface."""
    order = rig.order(AFTER)
    plain = RedisBroker(client=rig.redis, namespace=rig.ledger.ns)  # type: ignore[no-untyped-call]  # dramatiq's
    plain.declare_queue("refunds")
    plain.enqueue(
        dramatiq.Message(
            queue_name="refunds",
            actor_name="request_refund",
            args=(),
            kwargs={"refund_id": "rf-1", "store_id": STORE_ID, "order_id": order.id},
            options={},
        )
    )
    rig.run_until_idle()
    assert rig.load("rf-1").state is State.REFUNDED


def test_the_client_checks_a_job_before_it_sends_it(rig: Rig) -> None:
    """The caller, who still has the context, gets the error."""
    namespace = rig.settings.namespace
    client = RefundClient(rig.settings.redis_url.get_secret_value(), namespace=namespace)
    with pytest.raises(InvalidJob, match="order_id"):
        client.request(refund_id="rf-1", store_id=STORE_ID)
    order = rig.order(AFTER)
    client.request(refund_id="rf-1", store_id=STORE_ID, order_id=order.id)
    rig.run_until_idle()
    assert rig.load("rf-1").state is State.REFUNDED


def test_a_message_out_of_order_is_redundant_or_illegal_and_harmless(rig: Rig) -> None:
    """The queue may repeat and reorder messages."""
    order = rig.order(AFTER)
    refund_id = rig.request(order)
    rig.run_until_idle()
    for name in ("assess_order", "submit_refund", "confirm_refund", "cancel_order"):
        body: dict[str, object] = {
            "queue_name": "steps", "actor_name": name, "args": [refund_id], "kwargs": {},
            "options": {}, "message_id": uuid.uuid4().hex, "message_timestamp": 1,
        }  # fmt: skip
        rig.send_raw(json.dumps(body), message_id=str(body["message_id"]), queue="steps")
    rig.run_until_idle()
    assert rig.load(refund_id).state is State.REFUNDED
    assert len(order.refunds) == 1
    assert rig.redis.hlen(rig.key("steps.msgs")) == 0


@pytest.mark.parametrize(
    "job",
    [
        {"metadata": {"\ud83d": "x"}},
        {"metadata": {"a": "\ud83d"}},
        {"metadata": {"\ud83d": "\ud83d"}},
        {"metadata": {"a": "x" * 1_001}},
        {"metadata": {"x" * 101: "a"}},
        {"reason": "x" * 501},
        {"requested_by": "x" * 101},
        {"requested_by": "\ud83d"},
        {"reason": "ab\ud83d"},
        {"lines": [{"line_item_id": "\ud83d", "quantity": 1}]},
        {"odd\ud83d": 1},
        {"shipping": "\u0661", "currency": "USD"},
        {"amount": "\u0661\u0662.00", "currency": "USD"},
    ],
)
def test_invalid_text_becomes_a_dead_letter(rig: Rig, job: dict[str, object]) -> None:
    """Half an emoji, or digits of another script, make the job invalid; the queue continues."""
    order = rig.order(AFTER)
    ids = {"refund_id": "rf-1", "store_id": STORE_ID, "order_id": order.id}
    rig.send_raw(_message(**ids, **job))
    good = rig.request(rig.order(AFTER))
    rig.run_until_idle()
    found = letters(rig)
    assert [letter["reason"] for letter in found] == ["invalid_job"]
    assert rig.load(good).state is State.REFUNDED
    assert order.refunds == []


def test_of_a_very_long_job_the_letter_keeps_the_beginning(rig: Rig) -> None:
    """The dead letter has the ids and enough text to recognise the job."""
    ids = {"refund_id": "rf-1", "store_id": STORE_ID, "order_id": STORE_ID}
    rig.send_raw(_message(**ids, unheard_of="x y " * 100_000))
    rig.run_until_idle()
    letter = dead_letters.find(rig.ledger, rig.broker, "m-1")
    assert letter is not None
    assert (letter["refund_id"], letter["store_id"]) == ("rf-1", STORE_ID)
    assert 10_000 < len(letter["job"]["cut_off"]) < 50_000


def test_a_letter_with_an_unknown_reason_does_not_hide_the_others(rig: Rig) -> None:
    """A newer version may have written it."""
    rig.send_raw(_message(refund_id="rf-1"), message_id="bad")
    rig.run_until_idle()
    rig.broker.quarantine("refunds", "odd", {"reason": "of_tomorrow", "queue": "refunds"})
    listed = letters(rig)
    assert {(row["id"], row["reason"]) for row in listed} == {
        ("bad", "invalid_job"),
        ("odd", "of_tomorrow"),
    }
    with pytest.raises(dead_letters.CannotReplay, match="cannot be replayed: Report"):
        dead_letters.replay(rig.acts, "odd", operator=ANN)


@pytest.mark.parametrize(
    "job",
    [
        {"reason": "a@b.co " * 70},
        {"requested_by": "a@b.co " * 14},
    ],
)
@pytest.mark.parametrize("by_our_client", [True, False])
def test_a_text_that_grows_by_its_masks_is_cut(
    rig: Rig, job: dict[str, object], by_our_client: bool
) -> None:
    """A text that was short enough is accepted, even if masking secrets makes it too long."""
    order = rig.order(AFTER)
    ids = {"refund_id": "rf-1", "store_id": STORE_ID, "order_id": order.id}
    if by_our_client:
        enqueue(rig.broker, parse_request(ids | job))
    else:
        rig.send_raw(_message(**ids, **job))
    rig.run_until_idle()
    assert rig.load("rf-1").state is State.REFUNDED
    assert "a@b.co" not in str(rig.load("rf-1").request)


def test_what_an_older_version_accepted_stays_readable(rig: Rig) -> None:
    """Limits apply to new jobs, not to records."""
    refund_id = rig.request(rig.order(AFTER))
    rig.run_one_step()
    record = rig.key("refund", refund_id)
    request = json.loads(rig.redis.hget(record, "request"))
    request |= {"metadata": {"note": "x" * 5_000, "": "y"}, "reason": "z" * 900}
    rig.redis.hset(record, "request", json.dumps(request))
    rig.run_until_idle()
    assert rig.load(refund_id).state is State.REFUNDED
    assert len(list(rig.ledger.newest(limit=10))) == 1


def test_a_job_with_ten_thousand_wrong_fields_makes_a_short_letter(rig: Rig) -> None:
    """The dead letter names the first fields and the number of the others."""
    ids = {"refund_id": "rf-1", "store_id": STORE_ID, "order_id": STORE_ID}
    rig.send_raw(_message(**ids, **{f"f{n}" * 20: 1 for n in range(10_000)}))
    rig.run_until_idle()
    assert len(rig.redis.hget(rig.key("quarantine"), "m-1")) < 60_000
    letter = dead_letters.find(rig.ledger, rig.broker, "m-1")
    assert letter is not None
    assert letter["problems"]["job"] == "has 10000 invalid fields"


def test_a_conflict_survives_a_lost_connection(rig: Rig) -> None:
    """Its message is acknowledged only together with its dead letter."""
    order = rig.order(AFTER)
    refund_id = rig.request(order)
    rig.run_until_idle()
    rig.request(order, refund_id, reason="other")
    real: Callable[..., Any] = rig.broker.quarantine

    def blip(*_: object) -> None:
        raise ConnectionClosed("gone")  # type: ignore[no-untyped-call]  # dramatiq's

    rig.broker.quarantine = blip  # type: ignore[assignment,method-assign]  # the command is replaced
    rig._one("refunds")
    rig.broker.quarantine = real  # type: ignore[method-assign]  # as it was
    rig.run_queued()
    assert [x["reason"] for x in rig.broker.quarantined().values()] == ["conflict"]


def test_a_job_in_dramatiqs_delay_queue_is_accepted(rig: Rig) -> None:
    """A plain dramatiq producer delayed it; our consumers do not read that queue."""
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
    rig.run_until_idle()
    assert rig.ledger.load("rf-1") is None
    rig.broker.reclaim(60_000)
    rig.run_until_idle()
    assert rig.load("rf-1").state is State.REFUNDED
