"""What a job may say besides the order: parts of lines, a time window, priority, marks."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from statemachine.flows import State
from tests.support.rig import AFTER, ANN, BEFORE, Rig
from worker.errors import Buried
from worker.operations.acts import refunds as acts
from worker.operations.acts.refusals import CannotAct
from worker.refund.reasons import reason_of
from worker.simulator import Fault
from worker.simulator.world.orders import Order

#: Three units of 10.00 with 3.00 of tax in all, one of 4.50, and shipping.
_SHOP: dict[str, Any] = {
    "lines": [
        {"price": "10.00", "quantity": 3, "tax": "3.00"},
        {"price": "4.50", "quantity": 1},
    ],
    "shipping": "5.00",
}
HOUR_MS = 3_600_000


def _at(hours: float) -> str:
    return (datetime.now(UTC) + timedelta(hours=hours)).isoformat(timespec="milliseconds")


def _line(order: Order, number: int, **more: str) -> dict[str, Any]:
    return {"line_item_id": order.lines[number].id, "quantity": 1} | more


def _pass_hours(rig: Rig, hours: int) -> None:
    """Let the ledger's clock go on."""
    rig.redis.hincrby(rig.key("clock"), "offset_ms", hours * HOUR_MS)


@pytest.mark.parametrize(
    ("amounts", "more", "total"),
    [
        (("9.00", None), {}, "13.50"),
        (("9.00", "4.00"), {}, "13.00"),
        (("11.00", "4.50"), {"shipping": "5.00"}, "20.50"),
        ((None, "0.01"), {"shipping": "1.00"}, "12.01"),
    ],
)
def test_a_line_may_have_a_part_of_its_amount(
    rig: Rig, amounts: tuple[str | None, str | None], more: dict[str, Any], total: str
) -> None:
    """A restocking fee is taken off; Wix calculates the lines without an amount."""
    order = rig.order(AFTER, **_SHOP)
    lines = [_line(order, n, **({"amount": a} if a else {})) for n, a in enumerate(amounts)]
    refund = rig.run(order, lines=lines, currency="USD", **more)
    assert (refund.state, refund.facts.refund_amount) == (State.REFUNDED, total)
    [body] = order.refunds
    assert {line["quantity"] for line in body["details"]["lineItems"]} == {1}


def test_more_than_wix_calculates_for_the_line_is_refused(rig: Rig) -> None:
    """Also if the other lines would make up for it."""
    order = rig.order(AFTER, **_SHOP)
    refund = rig.run(
        order, lines=[_line(order, 0, amount="11.01"), _line(order, 1)], currency="USD"
    )
    assert (refund.state, refund.reason["reason"]) == (State.REJECTED, "amount_mismatch")
    assert not order.refunds


def test_a_job_that_waited_too_long_is_rejected_before_wix_is_asked(rig: Rig) -> None:
    """Its store was paused, for example."""
    order = rig.order(AFTER)
    refund_id = rig.request(order, expires_at=_at(1))
    rig._one("refunds")
    _pass_hours(rig, 2)
    rig.run_until_idle()
    refund = rig.load(refund_id)
    assert (refund.state, refund.reason["reason"], refund.wix_calls) == (
        State.REJECTED,
        "expired",
        0,
    )


@pytest.mark.parametrize("created", [BEFORE, AFTER])
def test_the_moment_of_the_call_counts(rig: Rig, created: str) -> None:
    """The step began in time, but the call would be late."""
    order = rig.order(created)
    rig.at["before_intent"] = lambda: _pass_hours(rig, 2)
    refund = rig.run(order, expires_at=_at(1))
    assert (refund.state, refund.reason["reason"]) == (State.REJECTED, "expired")
    assert (order.status, order.refunds) == ("APPROVED", [])


def test_an_order_that_is_refunded_before_it_is_cancelled_expires_too(rig: Rig) -> None:
    """It is no dead letter: nothing was refused."""
    settings = rig.settings.model_copy(update={"cancellation_refundable": "refund_then_cancel"})
    other = Rig(settings, rig.simulator)
    order = other.order(BEFORE)
    other.at["before_intent"] = lambda: _pass_hours(other, 2)
    refund = other.run(order, expires_at=_at(1))
    assert (refund.state, refund.reason["reason"]) == (State.REJECTED, "expired")
    other.close()


def test_what_has_begun_goes_on_after_the_time(rig: Rig) -> None:
    """Half a cancellation helps nobody: the fulfillments are deleted, so the order is cancelled."""
    order = rig.order(BEFORE, fulfillments=2)

    def delete_one() -> None:
        rig.at["before_intent"] = lambda: _pass_hours(rig, 2)

    rig.at["before_intent"] = delete_one
    refund = rig.run(order, expires_at=_at(1))
    assert (refund.state, order.status) == (State.CANCELLED, "CANCELED")


def test_a_call_with_an_unknown_effect_is_found_after_the_time(rig: Rig) -> None:
    """The refund was made in time; only its reply was lost."""
    order = rig.order(AFTER)
    rig.simulator.script(Fault("lost_reply", "submit_refund"))
    refund_id = rig.request(order, expires_at=_at(1))
    rig.run_queued()
    _pass_hours(rig, 2)
    rig.run_until_idle()
    assert rig.load(refund_id).state is State.REFUNDED
    assert len(order.refunds) == 1


def test_a_refund_does_not_start_before_its_time(rig: Rig) -> None:
    """It is accepted at once, and waits."""
    refund_id = rig.request(rig.order(AFTER), not_before=_at(5))
    rig.run_queued()
    refund = rig.load(refund_id)
    assert (refund.state, refund.wix_calls) == (State.ACCEPTED, 0)
    in_ms = refund.due_at_ms - rig.ledger.now_ms()
    assert 4 * HOUR_MS < in_ms <= 5 * HOUR_MS
    rig.run_until_idle()
    assert rig.load(refund_id).state is State.REFUNDED


def test_nobody_lets_it_start_before_its_time(rig: Rig) -> None:
    """Not a retry, nor a release, nor the replay of a letter that it became meanwhile."""
    refund_id = rig.request(rig.order(AFTER), not_before=_at(5))
    rig.run_queued()
    with pytest.raises(CannotAct, match="must not start yet"):
        acts.retry(rig.acts, refund_id, operator=ANN)
    acts.hold(rig.acts, refund_id, operator=ANN)
    acts.release(rig.acts, refund_id, operator=ANN)
    rig.run_queued()
    assert rig.load(refund_id).wix_calls == 0
    refund = rig.load(refund_id)
    assert 4 * HOUR_MS < refund.due_at_ms - rig.ledger.now_ms() <= 5 * HOUR_MS
    assert rig.stores.bury(
        refund, reason=reason_of(Buried("store_disconnected")), line={"event": "e"}
    )
    assert rig.replay(refund_id, operator="ann")
    rig.run_queued()
    assert rig.load(refund_id).wix_calls == 0
    assert rig.problems() == []
    rig.run_until_idle()
    assert rig.load(refund_id).state is State.REFUNDED


def test_a_time_that_has_passed_is_no_wait(rig: Rig) -> None:
    """The refund starts at once."""
    refund_id = rig.request(rig.order(AFTER), not_before="2024-01-01T00:00:00+01:00")
    rig.run_queued()
    assert rig.load(refund_id).due_at_ms == 0


def test_high_priority_goes_first_in_its_lane(rig: Rig) -> None:
    """Those that are urgent keep their own order."""
    rig.redis.delete(rig.key("idle"))
    for number, priority in enumerate(("normal", "normal", "high", "normal", "high")):
        rig.request(rig.order(AFTER), f"rf-{number}", priority=priority)
    while rig.redis.llen(rig.key("refunds")):
        rig._one("refunds")
    [store_id] = rig.redis.smembers(rig.key("busy_stores"))
    assert rig.redis.zrange(rig.key("lane", store_id), 0, -1) == [
        "rf-2", "rf-4", "rf-0", "rf-1", "rf-3",
    ]  # fmt: skip
    rig.appear()
    rig.run_until_idle()
    assert rig.problems() == []


def test_a_secret_in_the_reason_of_a_line_is_not_kept(rig: Rig) -> None:
    """Like one in the reason of the job."""
    order = rig.order(AFTER)
    secret = "IST.canary-key.aaaabbbb.ccccdddd"
    refund = rig.run(order, lines=[_line(order, 0, reason=f"broken {secret}")])
    assert refund.request.lines[0].reason.startswith("broken ")
    assert secret not in json.dumps(rig.redis.hgetall(rig.key("refund", refund.refund_id)))


@pytest.mark.parametrize(
    ("more", "schema"),
    [
        ({}, "1"),
        ({"priority": "high", "reason_code": "other", "not_before": _at(-1)}, "1"),
        ({"expires_at": _at(1)}, "3"),
        ({"lines": [{"amount": "1.00"}], "currency": "USD"}, "3"),
    ],
)
def test_an_older_worker_leaves_alone_what_it_would_do_wrong(
    rig: Rig, more: dict[str, Any], schema: str
) -> None:
    """It would refund the whole line, or too late; what is only told does no harm."""
    order = rig.order(AFTER)
    given = (
        {**more, "lines": [_line(order, 0, **x) for x in more["lines"]]}
        if "lines" in more
        else more
    )
    refund_id = rig.request(order, **given)
    rig._one("refunds")
    assert rig.redis.hget(rig.key("refund", refund_id), "schema") == schema
