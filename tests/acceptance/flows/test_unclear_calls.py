"""After a mutating call with an unknown effect: waits and looks, and never a second effect."""

from __future__ import annotations

import copy
import uuid
from collections.abc import Callable, Mapping

import pytest

from statemachine.flows import State
from tests.support.rig import AFTER, BEFORE, Rig
from worker.simulator import Fault
from worker.simulator.world.orders import Order


def _calls(rig: Rig, order: Order, endpoint: str) -> int:
    return int(rig.simulator.books()["calls_per_order"][order.id].get(endpoint, 0))


#: Places an order; returns it, and a function that carries out a lost call late.
Arrange = Callable[[Rig], tuple[Order, Callable[[], object]]]


def _to_cancel(rig: Rig) -> tuple[Order, Callable[[], object]]:
    order = rig.order(BEFORE)
    return order, lambda: rig.simulator._rule("cancel_order", order, {})


def _to_refund(rig: Rig) -> tuple[Order, Callable[[], object]]:
    order = rig.order(AFTER)
    refund_id = "rf-late"

    def late() -> None:
        mark = f"(ref {rig.load(refund_id).fingerprint})"
        rig.simulator.merchant_refunds(order.id, mark)

    return order, late


def _to_restore(rig: Rig) -> tuple[Order, Callable[[], object]]:
    order = rig.order(BEFORE, fulfillments=1)
    fulfillment = copy.deepcopy(order.fulfillments[0]) | {"id": str(uuid.uuid4())}
    rig.simulator.script(Fault("status", "cancel_order", status=428, code="NOT_TODAY"))
    return order, lambda: order.fulfillments.append(fulfillment)


#: Each call that has a second effect if it is repeated, and how to count its effects.
REPEATABLE: Mapping[str, tuple[Arrange, Callable[[Order], int]]] = {
    "cancel_order": (_to_cancel, lambda order: order.cancellations),
    "submit_refund": (_to_refund, lambda order: len(order.refunds)),
    "create_fulfillment": (_to_restore, lambda order: len(order.fulfillments)),
}


@pytest.mark.parametrize("takes_effect", ["before the settle delay ends", "before the second look"])
@pytest.mark.parametrize("endpoint", REPEATABLE)
def test_a_call_that_takes_effect_late_is_not_repeated(
    rig: Rig, endpoint: str, takes_effect: str
) -> None:
    """We wait for the settle delay and then look twice, some time apart."""
    arrange, effects = REPEATABLE[endpoint]
    order, carry_out = arrange(rig)
    rig.simulator.script(Fault("drop", endpoint))
    refund_id = rig.request(order, "rf-late")
    rig.run_queued()
    assert (effects(order), _calls(rig, order, endpoint)) == (0, 1)
    rig.make_due()
    rig.run_queued()
    line = rig.ledger.history(refund_id)[-1]
    delay_ms = rig.settings.settle_delay_ms
    assert line["event"] == "step.waiting"
    assert delay_ms - 60_000 < line["in_ms"] <= delay_ms
    if takes_effect == "before the second look":
        rig.let_an_hour_pass()
        rig.run_queued()
        line = rig.ledger.history(refund_id)[-1]
        assert (line["event"], line["in_ms"]) == ("step.waiting", delay_ms // 2)
    carry_out()
    rig.run_until_idle()
    assert (effects(order), _calls(rig, order, endpoint)) == (1, 1)


@pytest.mark.parametrize("endpoint", REPEATABLE)
def test_a_call_that_was_lost_is_repeated_once(rig: Rig, endpoint: str) -> None:
    """Two looks after the settle delay show nothing, so it was not carried out."""
    arrange, effects = REPEATABLE[endpoint]
    order, _ = arrange(rig)
    rig.simulator.script(Fault("drop", endpoint))
    rig.request(order, "rf-late")
    rig.run_until_idle()
    assert (effects(order), _calls(rig, order, endpoint)) == (1, 2)


def test_each_unclear_call_is_counted(rig: Rig) -> None:
    """The operator sees how many there were; later steps do not reset the number."""
    rig.simulator.script(Fault("drop", "submit_refund", times=4))
    refund = rig.run(rig.order(AFTER))
    assert refund.reason["reason"] == "outcome_unknown"
    assert refund.facts.unclear_sends == 4


def test_a_refusal_does_not_make_an_earlier_call_certain(rig: Rig) -> None:
    """The earlier call may still take effect: then the cancel is ours, not the merchant's."""
    order, carry_out = _to_cancel(rig)
    code = "ORDER_HAS_AUTHORIZED_TRANSACTION"
    rig.simulator.script(
        Fault("drop", "cancel_order"), Fault("status", "cancel_order", status=428, code=code)
    )
    refund_id = rig.request(order)
    for _ in range(3):
        rig.run_queued()
        rig.let_an_hour_pass()
    assert _calls(rig, order, "cancel_order") == 2
    carry_out()
    rig.run_until_idle()
    refund = rig.load(refund_id)
    assert (refund.state, refund.facts.effect) == (State.CANCELLED, "order_cancelled")
    assert order.cancellations == 1


#: How Wix may refuse the repeated call: (HTTP status, code, data).
REFUSALS = [
    (428, "PAYMENT_NOT_REFUNDABLE", {"nonRefundableReason": "ALREADY_REFUNDED"}),
    (428, "PAYMENT_NOT_REFUNDABLE", {}),
    (400, "INVALID_PAYMENT_REFUND_AMOUNT", {}),
    (404, "PAYMENT_NOT_FOUND", {}),
    (404, "ORDER_NOT_FOUND", {}),
    (428, "SOMETHING_NEW", {}),
]


@pytest.mark.parametrize(("status", "code", "data"), REFUSALS)
@pytest.mark.parametrize("listed", [True, False])
def test_a_refusal_after_an_unclear_call_is_not_final(
    rig: Rig, status: int, code: str, data: dict[str, str], listed: bool
) -> None:
    """The earlier call may be the cause: look for its refund; if it is not found, ask a person."""
    order, carry_out = _to_refund(rig)
    rig.simulator.script(
        Fault("drop", "submit_refund"),
        Fault("status", "submit_refund", status=status, code=code, data=data),
    )
    refund_id = rig.request(order, "rf-late")
    rig.run_queued()
    if listed:
        # The lost call arrives just before it is repeated.
        rig.at = {"before_call": carry_out}
    rig.run_until_idle()
    refund = rig.load(refund_id)
    assert _calls(rig, order, "submit_refund") == 2
    if listed:
        assert refund.state is State.REFUNDED
        assert len(order.refunds) == 1
    else:
        assert (refund.state, refund.reason["reason"]) == (State.DEAD, "outcome_unknown")
        assert refund.reason["wix_code"] == code


def test_a_failed_refund_does_not_account_for_returned_money(rig: Rig) -> None:
    """Wix shows 10.00 as refunded but lists only a failed refund of 10.00: ours is missing."""
    order = rig.order(AFTER, payments=[{"amount": "100.00"}])
    rig.simulator.merchant_refunds(order.id, "dashboard", "10.00")
    rig.simulator.provider_says(order.id, "FAILED")
    order.refunds[0]["_created_ms"] = 0
    rig.simulator.set_flags(refund_list_lag_ms=10**11)
    rig.simulator.script(Fault("drop_after", "submit_refund"))
    refund = rig.run(order, amount="10.00", currency="USD")
    assert refund.reason["reason"] == "outcome_unknown"
    assert _calls(rig, order, "submit_refund") == 1


@pytest.mark.parametrize("code", ["NOT_TODAY", "ORDER_IS_ALREADY_CANCELED"])
def test_a_refused_cancel_is_looked_at_again(rig: Rig, code: str) -> None:
    """The merchant cancelled the order between our look and our call: that is no refusal."""
    order = rig.order(BEFORE)
    rig.simulator.script(Fault("status", "cancel_order", status=428, code=code))
    rig.at = {"before_call": lambda: rig.simulator.merchant_cancels(order.id)}
    refund = rig.run(order)
    assert (refund.state, refund.facts.effect) == (State.CANCELLED, "already_cancelled")
    assert rig.ledger.history(refund.refund_id)[-1]["by_merchant"] is True


def test_a_cancel_refused_because_the_order_was_fulfilled_is_unfulfilled(rig: Rig) -> None:
    """The merchant fulfilled the order between our look and our call."""
    order = rig.order(BEFORE)
    rig.simulator.script(Fault("status", "cancel_order", status=428, code="NOT_TODAY"))

    def fulfill_once() -> None:
        if not order.effects:
            rig.simulator.merchant_fulfills(order.id)

    rig.at = {"before_call": fulfill_once}
    refund = rig.run(order)
    assert refund.state is State.CANCELLED
    assert (order.cancellations, order.fulfillments) == (1, [])
