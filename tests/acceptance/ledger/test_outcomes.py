"""Upstream gets one event for each outcome."""

from __future__ import annotations

import itertools
from typing import Any

import pytest

from statemachine.flows import State
from tests.support.rig import AFTER, ANN, BEFORE, Rig
from worker.operations import dead_letters
from worker.refund.money import money
from worker.refund.outcomes import read
from worker.simulator import Fault


def _events(rig: Rig) -> list[dict[str, Any]]:
    return [event for _, event in read(rig.broker.client, rig.settings.namespace)]


def test_a_refund_has_events_from_its_acceptance_to_its_effect(rig: Rig) -> None:
    """They have amount, currency, and what upstream needs to find the refund again."""
    refund = rig.run(rig.order(AFTER), metadata={"ticket": "T-1"}, requested_by="returns")
    events = _events(rig)
    assert [event["type"] for event in events] == ["refund.accepted", "refund.finished"]
    finished = events[-1]
    facts = refund.public()["facts"]
    [payment], [paid] = facts["payments"], facts["paid"]
    units = {"minor_units": 10140}
    split = finished["data"].pop("split")
    assert split["lines_subtotal"]["minor_units"] + split["tax"]["minor_units"] == 10140
    assert finished["data"] == {
        "refund_id": refund.refund_id,
        "store_id": refund.request.store_id,
        "order_id": refund.request.order_id,
        "requested_by": "returns",
        "metadata": {"ticket": "T-1"},
        "status": "completed",
        "state": "refunded",
        "flow": "standard",
        "effect": "payments_refunded",
        "amount": money("101.40", "USD"),
        "payments": [payment | units | {"provider": paid["provider"]}],
        "moved_by_wix": money("101.40", "USD"),
        "paid": [paid | units],
        "to_pay_back": money("0.00", "USD"),
    }
    for event in events:
        assert event["specversion"] == "1.0"
        assert event["subject"] == refund.refund_id
        assert event["source"] == f"wix-refund-worker/{rig.settings.namespace}"
        assert event["datacontenttype"] == "application/json"
    assert finished["id"] == f"{refund.refund_id}/{refund.version}/confirm_refund"


def test_the_event_of_a_cancellation_names_its_effect(rig: Rig) -> None:
    """It moved no money at Wix, and says whether the merchant had cancelled the order."""
    order = rig.order(BEFORE)
    rig.simulator.merchant_cancels(order.id)
    rig.run(order)
    data = _events(rig)[-1]["data"]
    assert (data["effect"], data["amount"]) == ("already_cancelled", None)
    assert data["by_merchant"] is True


def test_rejection_dead_letter_and_replay_have_events_with_their_reason(rig: Rig) -> None:
    """Upstream gets the same reason as the operator."""
    rig.run(rig.order(BEFORE, status="REJECTED"))
    rig.simulator.script(Fault("status", "get_order", status=501))
    dead = rig.run(rig.order(AFTER))
    dead_letters.replay(rig.acts, dead.refund_id, operator=ANN)
    rig.run_until_idle()
    events = [e for e in _events(rig) if e["type"] != "refund.accepted"]
    assert [event["type"] for event in events] == [
        "refund.rejected", "refund.dead_lettered", "refund.replayed", "refund.finished",
    ]  # fmt: skip
    assert events[0]["data"]["reason"]["reason"] == "order_rejected"
    assert events[1]["data"]["reason"]["remedy"].startswith("See Wix's error code")
    assert events[2]["data"]["operator"] == "ann"
    assert len({event["id"] for event in events}) == 4


def test_waits_and_retries_have_no_event(rig: Rig) -> None:
    """Upstream only gets outcomes."""
    rig.simulator.script(Fault("status", "get_order", status=503, times=2))
    rig.run(rig.order(AFTER))
    assert [event["type"] for event in _events(rig)] == ["refund.accepted", "refund.finished"]


def test_a_reader_continues_where_it_stopped(rig: Rig) -> None:
    """It continues after a stream id, and follows what comes later."""
    refund_id = rig.request(rig.order(AFTER))
    rig.run_queued()
    first, _ = next(read(rig.broker.client, rig.settings.namespace))
    rig.run_until_idle()
    rest = read(rig.broker.client, rig.settings.namespace, after=first, follow=True)
    assert [event["subject"] for _, event in itertools.islice(rest, 1)] == [refund_id]


@pytest.mark.parametrize(
    ("unix_ms", "text"),
    [
        (0, "1970-01-01T00:00:00.000Z"),
        (951_782_400_123, "2000-02-29T00:00:00.123Z"),
        (1_713_743_999_999, "2024-04-21T23:59:59.999Z"),
        (1_735_689_600_000, "2025-01-01T00:00:00.000Z"),
        (4_102_444_799_001, "2099-12-31T23:59:59.001Z"),
    ],
)
def test_the_scripts_calendar_is_right(rig: Rig, unix_ms: int, text: str) -> None:
    """Leap years, ends of years, milliseconds."""
    prelude = str(rig.ledger._scripts["accept"].script)
    start, end = prelude.index("local function iso("), prelude.index("local function emit(")
    iso = prelude[start:end]
    assert (
        rig.redis.eval(f"local wall = tonumber(ARGV[1])\n{iso}\nreturn iso()", 0, unix_ms) == text
    )


def test_the_state_of_a_refund_and_its_last_outcome_agree(rig: Rig) -> None:
    """One script writes both."""
    refund = rig.run(rig.order(AFTER))
    assert refund.state is State.REFUNDED
    assert _events(rig)[-1]["data"]["state"] == refund.state
