"""An order that is refunded before it is cancelled, when something is refused or lost."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from statemachine.flows import State, Transition
from tests.support.looks import look_again
from tests.support.refunded_first import NthCall, last_told, moved, sums_told, with_setting
from tests.support.rig import BEFORE, Rig, settings_for
from worker.refund.outcomes import read
from worker.simulator import Fault, Simulator
from worker.simulator.world.orders import Order


@pytest.fixture
def rig(redis_url: str, simulator: Simulator) -> Iterator[Rig]:
    """A worker that refunds before it cancels."""
    settings = settings_for(redis_url, cancellation_refundable="refund_then_cancel")
    rig = Rig(settings, simulator)
    yield rig
    rig.close()


def _merchant_refunds(rig: Rig, order: Order) -> None:
    rig.simulator.merchant_refunds(order.id)


def _merchant_refunds_and_cancels(rig: Rig, order: Order) -> None:
    rig.simulator.merchant_refunds(order.id)
    rig.simulator.merchant_cancels(order.id)


@pytest.mark.parametrize(
    ("act", "effect"),
    [(_merchant_refunds, "order_cancelled"), (_merchant_refunds_and_cancels, "already_cancelled")],
)
def test_the_merchant_may_be_first(
    rig: Rig, act: Callable[[Rig, Order], None], effect: str
) -> None:
    """Between the assessment and our refund call: nothing is refunded twice, nor left undone."""
    order = rig.order(BEFORE)
    refund_id = rig.request(order)
    rig.run_one_step()
    assert rig.load(refund_id).state is State.REFUND_DUE
    act(rig, order)
    rig.run_until_idle()
    refund = rig.load(refund_id)
    assert (refund.state, refund.facts.effect) == (State.CANCELLED, effect)
    assert (moved(order), sums_told(rig, refund_id)) == (["101.40"], ("101.40", "0.00"))


REFUSALS = [
    ("PAYMENT_NOT_REFUNDABLE", {"nonRefundableReason": "AMOUNT_OFFSET_BY_CHARGEBACK"}),
    ("PAYMENT_NOT_REFUNDABLE", {"nonRefundableReason": "FORBIDDEN"}),
    ("PAYMENT_NOT_REFUNDABLE", {}),
    ("INVALID_PAYMENT_REFUND_AMOUNT", {}),
    ("SOMETHING_NEW", {}),
]


@pytest.mark.parametrize(("code", "data"), REFUSALS)
def test_a_refused_refund_is_left_to_a_person_and_the_order_as_it_was(
    rig: Rig, code: str, data: dict[str, str]
) -> None:
    """Never an answer for upstream: the order could still be cancelled, if a person says so."""
    fault = Fault("status", "submit_refund", status=428, code=code, data=data, times=99)
    rig.simulator.script(fault)
    order = rig.order(BEFORE, fulfillments=1)
    refund = rig.run(order)
    assert (refund.state, order.effects) == (State.DEAD, [])
    assert refund.reason["wix_code"] == code
    # With the same settings the same end; with "cancel" the order is cancelled.
    assert rig.replay(refund.refund_id, operator="ann")
    rig.run_until_idle()
    assert rig.load(refund.refund_id).state is State.DEAD
    other = with_setting(rig, "cancel")
    assert other.replay(refund.refund_id, operator="ann")
    other.run_until_idle()
    assert other.load(refund.refund_id).state is State.CANCELLED
    assert order.effects == ["delete_fulfillment", "cancel_order"]
    assert sums_told(rig, refund.refund_id) == ("0.00", "101.40")
    other.close()


def test_a_refund_that_the_provider_refuses_is_left_to_a_person(rig: Rig) -> None:
    """In the provider's words; once the merchant has refunded the order, a replay cancels it."""
    order = rig.order(BEFORE, payments=[{"amount": "101.40", "outcome": "FAILED"}])
    refund = rig.run(order)
    assert (refund.state, refund.reason["reason"]) == (State.DEAD, "refund_refused")
    assert "refund_failed" in refund.reason["detail"]
    assert order.cancellations == 0
    order.payments[0].outcome = "SUCCEEDED"
    rig.simulator.merchant_refunds(order.id)
    assert rig.replay(refund.refund_id, operator="ann")
    rig.run_until_idle()
    assert rig.load(refund.refund_id).state is State.CANCELLED
    assert sums_told(rig, refund.refund_id) == ("101.40", "0.00")


def test_a_person_is_asked_if_wix_does_not_say_whether_it_could(rig: Rig) -> None:
    """No answer does not mean no."""
    rig.simulator.script(Fault("status", "get_order_refundability", status=503, times=1_000))
    order = rig.order(BEFORE, fulfillments=1)
    refund = rig.run(order)
    assert (refund.reason["reason"], order.effects) == ("also_refundable", [])


def test_a_cancel_that_is_refused_after_the_refund_is_never_a_rejection(rig: Rig) -> None:
    """Money has moved: upstream must not be told that the refund will not happen."""
    order = rig.order(BEFORE)
    for code in ("ORDER_IS_REJECTED", "ORDER_IS_PENDING", "NOT_TODAY"):
        rig.simulator.script(Fault("status", "cancel_order", status=428, code=code))
    refund = rig.run(order)
    for _ in range(2):
        assert (refund.state, refund.reason["reason"]) == (State.DEAD, "refunded_not_cancelled")
        assert last_told(rig, refund.refund_id)["amount"]["amount"] == "101.40"
        assert rig.replay(refund.refund_id, operator="ann")
        rig.run_until_idle()
        refund = rig.load(refund.refund_id)
    rig.simulator.merchant_cancels(order.id)
    assert rig.replay(refund.refund_id, operator="ann")
    rig.run_until_idle()
    assert rig.load(refund.refund_id).state is State.CANCELLED
    assert (order.effects, moved(order)) == (["submit_refund"], ["101.40"])


@pytest.mark.parametrize("kind", ["drop", "drop_after", "lost_reply", "garbage", "empty"])
@pytest.mark.parametrize(
    "endpoint",
    [
        "get_order",
        "get_order_refundability",
        "list_transactions",
        "list_fulfillments",
        "submit_refund",
        "void_payments",
        "delete_fulfillment",
        "cancel_order",
    ],
)
@pytest.mark.parametrize("nth", [1, 2])
def test_no_lost_answer_loses_or_doubles_anything(
    rig: Rig, endpoint: str, kind: Any, nth: int
) -> None:
    """Whatever call it is; the order has all that can go wrong."""
    payments = [{"amount": "41.00"}, {"amount": "5.50", "authorized": True}]
    order = rig.order(BEFORE, payments=payments, fulfillments=1)
    rig.simulator.script(NthCall(kind, endpoint, nth=nth))
    refund = rig.run(order)
    assert refund.state is State.CANCELLED
    assert sorted(order.effects) == [
        "cancel_order",
        "delete_fulfillment",
        "submit_refund",
        "void_payments",
    ]
    assert moved(order) == ["41.00"]


@pytest.mark.parametrize(
    ("steps", "transition"), [(1, Transition.SUBMIT_REFUND), (2, Transition.CONFIRM_REFUND)]
)
def test_another_worker_resumes_it(rig: Rig, steps: int, transition: Transition) -> None:
    """A worker died in the middle of the part that comes first."""
    order = rig.order(BEFORE)
    refund_id = rig.request(order)
    for _ in range(steps):
        rig.run_one_step()
    assert rig.ledger.claim(refund_id, transition, rig.delivery("dead")).status == "claimed"
    rig.run_until_idle()
    assert rig.load(refund_id).state is State.CANCELLED
    assert order.effects == ["submit_refund", "cancel_order"]


def test_a_cancelled_order_that_was_refunded_first_is_watched(rig: Rig) -> None:
    """The provider may take the money back, as from every refund."""
    order = rig.order(BEFORE)
    refund = rig.run(order)
    look_again(rig)
    rig.simulator.provider_says(order.id, "FAILED")
    look_again(rig)
    events = [event["type"] for _, event in read(rig.redis, rig.settings.namespace)]
    assert events[-1] == "refund.reversed"
    assert rig.load(refund.refund_id).state is State.CANCELLED


def test_a_setting_that_was_changed_in_between_asks_a_person(rig: Rig) -> None:
    """An order that is about to be cancelled is not refunded late; a replay begins again."""
    old = with_setting(rig, "cancel")
    order = old.order(BEFORE)
    refund_id = old.request(order)
    old.run_one_step()
    assert old.load(refund_id).state is State.UNFULFILLED
    rig.run_until_idle()
    assert rig.load(refund_id).reason["reason"] == "also_refundable"
    assert rig.replay(refund_id, operator="ann")
    rig.run_until_idle()
    assert rig.load(refund_id).state is State.CANCELLED
    assert order.effects == ["submit_refund", "cancel_order"]
    old.close()


@pytest.mark.parametrize("wanted", ["escalate", "refund_then_cancel"])
def test_a_person_is_asked_before_anything_is_undone(rig: Rig, wanted: str) -> None:
    """A fulfilled order still has its fulfillments when a person decides."""
    other = with_setting(rig, wanted)
    rig.simulator.script(
        Fault("status", "submit_refund", status=428, code="SOMETHING_NEW", times=9)
    )
    order = other.order(BEFORE, fulfillments=2)
    refund = other.run(order)
    assert (refund.state, len(order.fulfillments)) == (State.DEAD, 2)
    other.close()


def test_the_record_of_such_a_refund_reads_as_json(rig: Rig) -> None:
    """`refunds show --json` has the flow and the state of the part that comes first."""
    order = rig.order(BEFORE)
    refund_id = rig.request(order)
    rig.run_one_step()
    shown = json.loads(json.dumps(rig.load(refund_id).public()))
    assert (shown["flow"], shown["state"]) == ("refund_then_cancel", "refund_due")
