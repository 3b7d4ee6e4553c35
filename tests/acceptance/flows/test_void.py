"""Payments that are authorized but not captured are voided, in both flows."""

from __future__ import annotations

from typing import Any

import pytest

from statemachine.flows import State
from tests.support.rig import AFTER, BEFORE, Rig
from worker.refund.outcomes import read
from worker.simulator import Fault
from worker.simulator.script.faults import Kind
from worker.simulator.world.orders import Order


def _authorized(rig: Rig, created: str, **more: Any) -> Order:
    return rig.order(created, payments=[{"amount": "20.00", "authorized": True}], **more)


def _mutations(rig: Rig, order: Order) -> list[str]:
    book = rig.simulator.books()["orders"][order.id]
    return [call["endpoint"] for call in book["mutating_calls"]]


@pytest.mark.parametrize("lost", [None, "lost_reply", "drop", "drop_after", "garbage"])
@pytest.mark.parametrize("fulfillments", [0, 1])
def test_an_authorization_is_voided_before_the_order_is_cancelled(
    rig: Rig, lost: Kind | None, fulfillments: int
) -> None:
    """Void, wait for VOIDED, then cancel, whatever happens to the reply to the void."""
    rig.simulator.set_flags(authorization_ms=0)
    order = _authorized(rig, BEFORE, fulfillments=fulfillments)
    if lost:
        rig.simulator.script(Fault(lost, "void_payments"))
    refund = rig.run(order)
    assert refund.state is State.CANCELLED
    assert order.payments[0].voided
    assert order.cancellations == 1


def test_an_authorization_that_only_the_cancel_reveals_is_voided(rig: Rig) -> None:
    """The order's balance may not show it, but Wix's refusal of the cancel does."""
    order = _authorized(rig, BEFORE, extra={"balanceSummary": None})
    refund = rig.run(order)
    assert refund.state is State.CANCELLED
    assert _mutations(rig, order) == ["cancel_order", "void_payments", "cancel_order"]
    assert order.payments[0].voided


def test_a_void_is_waited_for(rig: Rig) -> None:
    """A 200 only accepts the request: the order is not cancelled before Wix shows VOIDED."""
    clock = [1_000_000]
    rig.simulator.clock_ms = lambda: clock[0]
    rig.simulator.set_flags(authorization_ms=60_000)
    order = _authorized(rig, BEFORE)
    refund_id = rig.request(order)
    rig.run_queued()
    assert rig.load(refund_id).state is State.VOID_SUBMITTED
    assert _mutations(rig, order) == ["void_payments"]
    clock[0] += 60_000
    rig.run_until_idle()
    assert rig.load(refund_id).state is State.CANCELLED


@pytest.mark.parametrize(("created", "state"), [(BEFORE, State.CANCELLED), (AFTER, State.REFUNDED)])
@pytest.mark.parametrize("when", ["before", "while"])
def test_a_payment_captured_in_the_meantime_is_refunded_or_cancelled(
    rig: Rig, created: str, state: State, when: str
) -> None:
    """The merchant captures it before our void, or at the same moment."""
    order = _authorized(rig, created)
    refund_id = rig.request(order)
    if when == "while":
        code = "PAYMENT_ALREADY_CAPTURED"
        rig.simulator.script(Fault("status", "void_payments", status=428, code=code))
    else:
        rig.simulator.script(Fault("status", "void_payments", status=503))
    rig.run_queued()
    rig.simulator.merchant_captures(order.id)
    rig.run_until_idle()
    assert rig.load(refund_id).state is state
    assert not order.payments[0].voided


def test_an_order_that_is_only_authorized_is_voided_instead_of_refunded(rig: Rig) -> None:
    """There is no money to pay back, and the outcome for upstream says so."""
    order = _authorized(rig, AFTER)
    refund = rig.run(order)
    assert refund.state is State.VOIDED
    assert _mutations(rig, order) == ["void_payments"]
    outcomes = [event for _, event in read(rig.broker.client, rig.settings.namespace)]
    assert outcomes[-1]["type"] == "refund.finished"
    assert outcomes[-1]["data"]["effect"] == "voided"


def test_an_order_that_is_partly_authorized_is_voided_and_refunded(rig: Rig) -> None:
    """The authorized payment is voided, the captured one refunded."""
    payments = [{"amount": "20.00", "authorized": True}, {"amount": "5.00"}]
    order = rig.order(AFTER, payments=payments)
    refund = rig.run(order)
    assert refund.state is State.REFUNDED
    assert order.payments[0].voided
    assert refund.facts.refund_amount == "5.00"


def test_a_void_by_the_merchant_is_found(rig: Rig) -> None:
    """There is nothing left to do."""
    order = _authorized(rig, AFTER)
    refund_id = rig.request(order)
    rig.simulator.script(Fault("status", "void_payments", status=503))
    rig.run_queued()
    rig.simulator.merchant_voids(order.id)
    rig.run_until_idle()
    assert rig.load(refund_id).state is State.VOIDED


@pytest.mark.parametrize(
    ("voids", "calls"),
    [
        (["PENDING"], 0),
        (["STARTED", "PENDING"], 0),
        (["A_NEW_STATUS"], 0),
        (["FAILED"], 1),
        (["DECLINED"], 1),
        (["REJECTED"], 1),
        (["PENDING", "FAILED"], 1),
        (["PENDING", ""], 1),
        ([""], 1),
    ],
)
def test_a_void_that_is_under_way_is_not_sent_again(rig: Rig, voids: list[str], calls: int) -> None:
    """A void that failed, or was never requested, is sent."""
    rig.simulator.set_flags(authorization_ms=10**15)
    payments = [{"amount": "20.00", "authorized": True} for _ in voids]
    order = rig.order(AFTER, payments=payments)
    for payment, status in zip(order.payments, voids, strict=True):
        payment.void = {"status": status, "_asked_ms": 0} if status else {}
    refund_id = rig.request(order)
    for queue in ("refunds", "steps", "steps", "steps"):
        rig._one(queue)  # accepted, assessed, found to be authorized, voided
    assert _mutations(rig, order) == ["void_payments"] * calls
    if not calls:
        refund = rig.load(refund_id)
        assert refund.state is State.VOID_SUBMITTED
        assert set(refund.facts.void_ids) == {payment.id for payment in order.payments}


def test_a_void_whose_reply_was_lost_is_found(rig: Rig) -> None:
    """It is under way at Wix: one call, not two."""
    rig.simulator.set_flags(authorization_ms=10**15)
    order = _authorized(rig, AFTER)
    rig.simulator.script(Fault("drop_after", "void_payments"))
    refund_id = rig.request(order)
    for _ in range(3):
        rig.run_queued()
        rig.let_an_hour_pass()
    assert rig.load(refund_id).state is State.VOID_SUBMITTED
    assert _mutations(rig, order) == ["void_payments"]


@pytest.mark.parametrize(("created", "state"), [(BEFORE, State.CANCELLED), (AFTER, State.VOIDED)])
@pytest.mark.parametrize("ending", ["nothing", "failed"])
def test_a_replay_voids_again_what_a_void_left_authorized(
    rig: Rig, created: str, state: State, ending: str
) -> None:
    """Wix answered 200 but did nothing, or the void failed: the replay looks, then voids."""
    rig.simulator.set_flags(authorization_ms=10**12)
    order = _authorized(rig, created)
    refund_id = rig.request(order)
    while not order.payments[0].void:
        rig.run_one_step()
    order.payments[0].void = {} if ending == "nothing" else {"status": "FAILED"}
    for _ in range(4):
        rig.run_queued()
        rig.age(refund_id, days=30)
        rig.let_an_hour_pass()
    reason = "void_not_settled" if ending == "nothing" else "void_failed"
    assert rig.load(refund_id).reason["reason"] == reason
    rig.simulator.set_flags(authorization_ms=0)
    order.payments[0].void = {}
    assert rig.replay(refund_id, operator="ann")
    rig.run_until_idle()
    assert rig.load(refund_id).state is state
    assert _mutations(rig, order).count("void_payments") == 2


def test_a_replay_finds_that_the_void_was_late(rig: Rig) -> None:
    """It looks before it voids again."""
    rig.simulator.set_flags(authorization_ms=10**12)
    order = _authorized(rig, AFTER)
    refund_id = rig.request(order)
    for _ in range(4):
        rig.run_queued()
        rig.age(refund_id, days=30)
        rig.let_an_hour_pass()
    assert rig.load(refund_id).reason["reason"] == "void_not_settled"
    rig.simulator.set_flags(authorization_ms=0)
    assert rig.replay(refund_id, operator="ann")
    rig.run_until_idle()
    assert rig.load(refund_id).state is State.VOIDED
    assert _mutations(rig, order) == ["void_payments"]
