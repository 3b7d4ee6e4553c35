"""`refund.finished`: what the amount is made of, the payments, the public status."""

from __future__ import annotations

import json
from typing import Any

import pytest

from statemachine.flows import State
from tests.support.rig import BEFORE, Rig, settings_for
from worker.refund.facts import Facts, NotRefunded, RefundedPayment
from worker.refund.money import minor_units
from worker.refund.outcomes import read
from worker.refund.public_status import STATUSES, status_after
from worker.simulator import Simulator


def _events(rig: Rig) -> list[dict[str, Any]]:
    return [event for _, event in read(rig.redis, rig.settings.namespace)]


def _finished(rig: Rig) -> dict[str, Any]:
    [data] = [event["data"] for event in _events(rig) if event["type"] == "refund.finished"]
    found: dict[str, Any] = data
    return found


def test_the_parts_of_a_job_are_told(rig: Rig) -> None:
    """Lines, shipping, fees and tax as Wix calculates them, in decimals and minor units."""
    order = rig.order(shipping="5.00", fees=[{"amount": "2.00"}])
    line = order.lines[0]
    rig.run(
        order,
        lines=[{"line_item_id": line.id, "quantity": 1}],
        shipping="5.00",
        additional_fees=[{"additional_fee_id": order.fees[0].id}],
        currency=order.currency,
    )
    data = _finished(rig)
    split = data["split"]
    assert split["shipping"] == {"amount": "5.00", "minor_units": 500}
    assert split["fees"] == {"amount": "2.00", "minor_units": 200}
    [told] = split["lines"]
    assert (told["line_item_id"], told["quantity"]) == (line.id, 1)
    total = told["minor_units"] + 500 + 200
    assert data["amount"]["minor_units"] == total
    assert minor_units(data["amount"]["amount"], order.currency) == total


def test_a_whole_order_is_told_by_its_prices(rig: Rig) -> None:
    """Without lines: Wix tells the sums of the order."""
    order = rig.order(shipping="5.00")
    rig.run(order)
    data = _finished(rig)
    assert data["status"] == "completed"
    split = data["split"]
    assert split["lines"] == []
    parts = [split[name]["minor_units"] for name in ("lines_subtotal", "shipping", "fees", "tax")]
    assert sum(parts) - split["discount"]["minor_units"] == data["amount"]["minor_units"]
    [payment] = data["payments"]
    assert payment["provider"] == data["paid"][0]["provider"]
    assert payment["minor_units"] == data["amount"]["minor_units"]
    assert payment["status"] == "SUCCEEDED"


def test_another_amount_than_the_calculated_one_has_no_parts(rig: Rig) -> None:
    """Nobody knows what a restocking fee was taken from."""
    order = rig.order()
    lines = [{"line_item_id": order.lines[0].id, "quantity": 1}]
    rig.run(order, lines=lines, amount="0.01", currency=order.currency)
    assert _finished(rig)["split"] is None


def test_a_cancelled_order_is_external_while_money_is_left_to_pay(rig: Rig) -> None:
    """A cancel moves no money."""
    rig.run(rig.order(BEFORE))
    data = _finished(rig)
    assert (data["status"], data["split"]) == ("external", None)
    assert data["to_pay_back"]["minor_units"] == minor_units(
        data["to_pay_back"]["amount"], data["to_pay_back"]["currency"]
    )


def test_each_event_has_the_status_after_it(rig: Rig) -> None:
    """From the first to the last one."""
    rig.run(rig.order(), amount="999999.00", currency="USD")
    told = [(event["type"], event["data"]["status"]) for event in _events(rig)]
    assert told == [("refund.accepted", "processing"), ("refund.rejected", "failed")]


def test_progress_is_told_on_request(redis_url: str, simulator: Simulator) -> None:
    """Each state between the job and its end."""
    rig = Rig(settings_for(redis_url, progress_events="true"), simulator)
    try:
        rig.run(rig.order())
        told = [(event["type"], event["data"].get("state")) for event in _events(rig)]
        ids = [event["id"] for event in _events(rig)]
    finally:
        rig.close()
    assert told[0] == ("refund.accepted", None)
    assert told[1] == ("refund.progress", "refundable")
    assert told[-1] == ("refund.finished", "refunded")
    assert len(set(ids)) == len(ids)
    assert json.dumps(told)


def _part(status: str, **more: bool) -> RefundedPayment:
    return RefundedPayment(payment_id=status, amount="1.00", status=status, **more)


@pytest.mark.parametrize(
    ("state", "facts", "status"),
    [
        (State.ACCEPTED, Facts(), "processing"),
        (State("a_state_of_a_later_version"), Facts(), "processing"),
        (State.REFUNDED, Facts(payments=(_part("SUCCEEDED"),)), "completed"),
        (State.REFUNDED, Facts(payments=(_part("FAILED"),)), "failed"),
        (
            State.REFUNDED,
            Facts(payments=(_part("FAILED"), _part("SUCCEEDED"))),
            "partially_completed",
        ),
        (
            State.REFUNDED,
            Facts(
                payments=(_part("SUCCEEDED"),),
                not_refunded=(NotRefunded(payment_id="p", reason="r", wix_code="c"),),
            ),
            "partially_completed",
        ),
        (
            State.REFUNDED,
            Facts(payments=(_part("SUCCEEDED", external=True),), to_pay_back="1.00"),
            "external",
        ),
        (
            State.REFUNDED,
            Facts(payments=(_part("SUCCEEDED", external=True),), to_pay_back="0.00"),
            "completed",
        ),
        (State.CANCELLED, Facts(to_pay_back="0.00"), "completed"),
        (State.CANCELLED, Facts(to_pay_back="9.00"), "external"),
        (State.CANCELLED, Facts(), "external"),
        (State.VOIDED, Facts(), "completed"),
        (State.REJECTED, Facts(), "failed"),
        (State.DEAD, Facts(), "needs_attention"),
        (State.RESOLVED, Facts(), "external"),
        (State.DISCARDED, Facts(), "failed"),
        (State.CALLED_OFF, Facts(), "cancelled"),
    ],
)
def test_the_status_of_a_state(state: State, facts: Facts, status: str) -> None:
    """As the table in the README says."""
    assert status_after(state, facts) == status
    assert status in STATUSES


@pytest.mark.parametrize(
    ("amount", "currency", "units"),
    [
        ("12.50", "EUR", 1250),
        ("12", "JPY", 12),
        ("1.234", "KWD", 1234),
        ("1.005", "EUR", None),
        ("", "EUR", None),
        ("1.00", "", None),
        (None, "EUR", None),
    ],
)
def test_minor_units(amount: str | None, currency: str, units: int | None) -> None:
    """By the decimals of the currency; a fraction of a unit is none."""
    assert minor_units(amount, currency) == units
