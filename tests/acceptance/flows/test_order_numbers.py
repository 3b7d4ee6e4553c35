"""A job may name the number of the order instead of its id."""

from __future__ import annotations

import json
from typing import Any

import pytest

from statemachine.flows import State
from tests.support.commands import refunds
from tests.support.rig import AFTER, BEFORE, STORE_ID, Rig
from worker.refund.field_types import stand_in_for
from worker.refund.request import parse_request
from worker.simulator import Fault
from worker.upstream import RefundQueue


def _send(rig: Rig, number: str, refund_id: str = "rf-1", **more: Any) -> None:
    url = rig.settings.redis_url.get_secret_value()
    with RefundQueue(url, namespace=rig.settings.namespace) as queue:
        queue.request(refund_id=refund_id, store_id=STORE_ID, order_number=number, **more)


@pytest.mark.parametrize(("created", "state"), [(BEFORE, State.CANCELLED), (AFTER, State.REFUNDED)])
def test_the_order_is_found_and_refunded(rig: Rig, created: str, state: State) -> None:
    """From then on its refund is like any other: found by its id, with the same fingerprint."""
    rig.order(AFTER, number="10123")
    order = rig.order(created, number="10124")
    _send(rig, "10124")
    rig.run_until_idle()
    refund = rig.load("rf-1")
    assert (refund.state, refund.request.order_id) == (state, order.id)
    assert rig.ledger.of_order(STORE_ID, order.id) == ["rf-1"]
    stand_in = stand_in_for(STORE_ID, "10124")
    assert rig.ledger.of_order(STORE_ID, stand_in) == []
    assert rig.redis.zrange(rig.key("orders"), 0, -1) == [f"{order.id}:{STORE_ID}"]
    assert not rig.redis.exists(rig.key("lease", STORE_ID, stand_in))
    assert rig.problems() == []


def test_the_outcomes_say_number_and_id(rig: Rig) -> None:
    """The id as soon as it is known."""
    order = rig.order(AFTER, number="10124")
    _send(rig, "10124")
    rig.run_until_idle()
    events = [json.loads(fields["event"]) for _, fields in rig.redis.xrange(rig.key("outcomes"))]
    assert [(e["data"]["order_id"], e["data"]["order_number"]) for e in events] == [
        (None, "10124"),
        (order.id, "10124"),
    ]


def test_a_number_that_wix_does_not_know_is_rejected_after_some_looks(rig: Rig) -> None:
    """The search may lag behind."""
    rig.order(AFTER, number="10123")
    _send(rig, "10124")
    rig.run_until_idle()
    refund = rig.load("rf-1")
    assert (refund.state, refund.reason["reason"]) == (State.REJECTED, "order_number_unknown")
    assert refund.wix_calls == 8


def test_an_order_that_the_search_shows_late_is_found(rig: Rig) -> None:
    """A new order is not in the index at once."""
    _send(rig, "10124")
    rig.run_queued()
    order = rig.order(AFTER, number="10124")
    rig.run_until_idle()
    assert rig.load("rf-1").state is State.REFUNDED
    assert len(order.refunds) == 1


def test_a_number_of_several_orders_is_rejected(rig: Rig) -> None:
    """Imported orders may have any number; nobody guesses which one is meant."""
    orders = [rig.order(AFTER, number="10124") for _ in range(2)]
    _send(rig, "10124")
    rig.run_until_idle()
    refund = rig.load("rf-1")
    assert (refund.state, refund.reason["reason"]) == (State.REJECTED, "order_number_ambiguous")
    assert [order.refunds for order in orders] == [[], []]


@pytest.mark.parametrize(
    ("flag", "reason"), [("ignored", "answer_unreadable"), ("400", "refused_by_wix")]
)
def test_a_search_that_is_not_as_documented_needs_a_person(
    rig: Rig, flag: str, reason: str
) -> None:
    """If Wix ignored the filter, the only order of the store would be refunded."""
    rig.simulator.set_flags(number_filter=flag)
    order = rig.order(AFTER, number="10123")
    _send(rig, "10124")
    rig.run_until_idle()
    refund = rig.load("rf-1")
    assert (refund.state, refund.reason["reason"], order.refunds) == (State.DEAD, reason, [])


def test_two_refunds_of_one_order_run_one_after_the_other(rig: Rig) -> None:
    """One by number, one by id: both hold the lease on the order while they work."""
    order = rig.order(AFTER, number="10124")
    part = {"amount": "1.00", "currency": "USD"}
    _send(rig, "10124", **part)
    rig.request(order, "rf-2", **part)
    rig.run_until_idle()
    assert {rig.load(name).state for name in ("rf-1", "rf-2")} == {State.REFUNDED}
    assert len(order.refunds) == 2


def test_a_job_that_is_sent_again_is_a_duplicate_also_after_the_id_is_known(rig: Rig) -> None:
    """And one with another number is a conflict."""
    rig.order(AFTER, number="10124")
    _send(rig, "10124")
    rig.run_until_idle()
    _send(rig, "10124")
    rig.run_until_idle()
    assert rig.broker.quarantined() == {}
    _send(rig, "10125")
    rig.run_until_idle()
    assert [letter["reason"] for letter in rig.broker.quarantined().values()] == ["conflict"]


def test_a_lost_answer_changes_nothing(rig: Rig) -> None:
    """The search is repeated."""
    rig.order(AFTER, number="10124")
    rig.simulator.script(Fault("lost_reply", "search_orders"))
    _send(rig, "10124")
    rig.run_until_idle()
    assert rig.load("rf-1").state is State.REFUNDED


def test_a_record_can_be_read_by_an_older_worker(rig: Rig) -> None:
    """It has an order id that looks like one, and a version that it leaves alone."""
    rig.order(AFTER, number="10124")
    _send(rig, "10124")
    rig._one("refunds")
    record = rig.redis.hgetall(rig.key("refund", "rf-1"))
    assert json.loads(record["request"])["order_id"] == record["order_id"]
    assert record["schema"] == "3"
    assert rig.load("rf-1").public()["order_id"] is None


def test_the_command_takes_a_number(rig: Rig) -> None:
    """That is what support people have."""
    order = rig.order(AFTER, number="10124")
    done = refunds(rig, "request", "--store", STORE_ID, "--order-number", "10124")
    assert done.returncode == 0, done.stderr
    rig.run_until_idle()
    assert len(order.refunds) == 1


def test_the_stand_in_depends_on_store_and_number_alone() -> None:
    """However the store's id is written, a repeat has the same digest."""
    job = {"refund_id": "rf-1", "store_id": STORE_ID, "order_number": "10124"}
    other = job | {"store_id": STORE_ID.upper()}
    assert parse_request(job).digest == parse_request(other).digest
    assert parse_request(job).known_order_id is None


def test_refunds_are_found_by_the_number_as_text(rig: Rig) -> None:
    """It is what the customer tells support; also a dead letter, and a rejected one."""
    rig.order(AFTER, number="10124")
    _send(rig, "10124")
    _send(rig, "10777", "rf-2")
    rig.run_until_idle()
    rig.order(AFTER, number="10999")
    rig.simulator.script(Fault("status", "submit_refund", status=418, code="TEAPOT", times=99))
    _send(rig, "10999", "rf-3")
    rig.run_until_idle()
    assert rig.load("rf-3").state is State.DEAD
    for number, refund_id in (("10124", "rf-1"), ("10777", "rf-2"), ("10999", "rf-3")):
        listed = json.loads(refunds(rig, "list", "--text", number, "--json").stdout)
        assert [row["refund_id"] for row in listed["refunds"]] == [refund_id]
        dead = json.loads(refunds(rig, "dead", "list", "--text", number, "--json").stdout)
        assert [row["id"] for row in dead["dead"]] == ([refund_id] if refund_id == "rf-3" else [])
    _send(rig, "10124", "rf-4")
    listed = json.loads(refunds(rig, "list", "--text", "10124", "--json").stdout)
    assert [job["refund_id"] for job in listed["queued"]] == ["rf-4"]
