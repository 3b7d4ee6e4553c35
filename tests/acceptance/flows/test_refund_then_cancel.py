"""Orders placed before the cutoff that Wix could refund: refunded first, then cancelled."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import pytest

from statemachine.flows import State, Transition
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


@dataclass
class NthCall(Fault):
    """A fault of the nth call only."""

    nth: int = 1

    def hits(self, endpoint: str, order_id: str) -> bool:
        """Count the calls that it could hit."""
        if not super().hits(endpoint, order_id):
            return False
        self.nth -= 1
        return not self.nth


def _told(rig: Rig, refund_id: str) -> dict[str, Any]:
    """Return what upstream reads last of a refund."""
    events = [event for _, event in read(rig.redis, rig.settings.namespace)]
    data: dict[str, Any] = [e["data"] for e in events if e["subject"] == refund_id][-1]
    return data


def _sums(rig: Rig, refund_id: str) -> tuple[str, str]:
    told = _told(rig, refund_id)
    return told["moved_by_wix"]["amount"], told["to_pay_back"]["amount"]


def _moved(order: Order) -> list[str]:
    parts = [part for refund in order.refunds for part in refund["transactions"]]
    return [part["amount"]["amount"] for part in parts if part["refundStatus"] != "FAILED"]


def _states(rig: Rig, refund_id: str) -> list[str]:
    lines = [line for line in rig.ledger.history(refund_id) if line["event"] == "step.done"]
    return [line["to_state"] for line in lines]


def _other_settings(rig: Rig, wanted: str) -> Rig:
    """Return a worker on the same ledger, with another setting."""
    settings = rig.settings.model_copy(update={"cancellation_refundable": wanted})
    return Rig(settings, rig.simulator)


def test_an_unfulfilled_order_is_refunded_and_then_cancelled(rig: Rig) -> None:
    """In this order, each once; upstream is told that Wix has returned all."""
    order = rig.order(BEFORE)
    refund = rig.run(order)
    assert _states(rig, refund.refund_id) == [
        "refund_due",
        "refund_awaited",
        "unfulfilled",
        "cancelled",
    ]
    assert order.effects == ["submit_refund", "cancel_order"]
    assert (refund.facts.effect, refund.flow) == ("order_cancelled", "cancellation")
    assert _sums(rig, refund.refund_id) == ("101.40", "0.00")
    assert _told(rig, refund.refund_id)["amount"] == {"amount": "101.40", "currency": "USD"}


@pytest.mark.parametrize(("currency", "amount"), [("JPY", "5070"), ("KWD", "12.345")])
def test_a_fulfilled_order_is_refunded_before_it_is_unfulfilled(
    rig: Rig, currency: str, amount: str
) -> None:
    """Nothing is taken back from the buyer before the money is on its way."""
    order = rig.order(BEFORE, fulfillments=2, currency=currency, payments=[{"amount": amount}])
    refund = rig.run(order)
    assert order.effects == [
        "submit_refund",
        "delete_fulfillment",
        "delete_fulfillment",
        "cancel_order",
    ]
    nothing = "0" if currency == "JPY" else "0.000"
    assert _sums(rig, refund.refund_id) == (amount, nothing)


def test_the_order_is_not_cancelled_before_the_refund_has_settled(rig: Rig) -> None:
    """A cancel cannot be undone, and the provider may still refuse the refund."""
    rig.simulator.set_flags(provider_ms=10**12)
    order = rig.order(BEFORE)
    refund_id = rig.request(order)
    for _ in range(4):
        rig.run_queued()
        rig.let_an_hour_pass()
    assert (rig.load(refund_id).state, order.cancellations) == (State.REFUND_AWAITED, 0)
    rig.simulator.set_flags(provider_ms=0)
    rig.run_until_idle()
    assert rig.load(refund_id).state is State.CANCELLED


@pytest.mark.parametrize(
    ("payments", "effects"),
    [
        ([{"amount": "80.00", "offline": True}], ["cancel_order"]),
        ([{"amount": "80.00", "authorized": True}], ["void_payments", "cancel_order"]),
        ([{"amount": "80.00", "non_refundable": "DISABLED_BY_PROVIDER"}], ["cancel_order"]),
        ([], ["cancel_order"]),
        (
            [{"amount": "30.00"}, {"amount": "80.00", "authorized": True}],
            ["submit_refund", "void_payments", "cancel_order"],
        ),
        ([{"amount": "30.00", "kind": "membership"}], ["submit_refund", "cancel_order"]),
        ([{"amount": "30.00", "kind": "gift_card"}], ["submit_refund", "cancel_order"]),
    ],
)
def test_only_what_wix_could_refund_itself_is_refunded_first(
    rig: Rig, payments: list[Mapping[str, Any]], effects: list[str]
) -> None:
    """All other orders are cancelled as with any other setting."""
    order = rig.order(BEFORE, payments=payments)
    assert rig.run(order).state is State.CANCELLED
    assert order.effects == effects


def test_an_order_on_or_after_the_cutoff_is_not_cancelled(rig: Rig) -> None:
    """The setting is about older orders only."""
    order = rig.order()
    assert rig.run(order).state is State.REFUNDED
    assert order.cancellations == 0


def test_a_part_of_an_old_order_is_still_refused(rig: Rig) -> None:
    """A cancel is always about the whole order."""
    order = rig.order(BEFORE)
    refund = rig.run(order, amount="12.00", currency="USD")
    assert refund.reason["reason"] == "partial_needs_standard_refund"
    assert order.effects == []


@pytest.mark.parametrize("restock", [True, False])
def test_units_are_restocked_once(rig: Rig, *, restock: bool) -> None:
    """By the cancel, and not by the refund as well."""
    order = rig.order(BEFORE)
    rig.run(order, restock=restock)
    assert [line.restocked for line in order.lines] == [
        line.quantity * restock for line in order.lines
    ]


def test_a_payment_that_wix_cannot_refund_is_left_to_be_paid_back(rig: Rig) -> None:
    """As after any cancellation; the event names it."""
    blocked = {"amount": "7.77", "non_refundable": "DISABLED_BY_PROVIDER"}
    order = rig.order(BEFORE, payments=[{"amount": "60.00"}, blocked])
    refund = rig.run(order)
    assert refund.state is State.CANCELLED
    assert _sums(rig, refund.refund_id) == ("60.00", "7.77")
    [missing] = _told(rig, refund.refund_id)["not_refunded"]
    assert (missing["amount"], missing["reason"]) == ("7.77", "refund_disabled")


def test_a_manual_payment_that_is_only_recorded_is_left_to_be_paid_back(rig: Rig) -> None:
    """Nobody has confirmed it, so the record at Wix does not count."""
    order = rig.order(BEFORE, payments=[{"amount": "60.00"}, {"amount": "9.10", "offline": True}])
    refund = rig.run(order, manual_payments="record")
    assert _sums(rig, refund.refund_id) == ("60.00", "9.10")


def test_a_person_pays_a_manual_payment_first(rig: Rig) -> None:
    """As in every refund; after the confirmation nothing is left to pay."""
    order = rig.order(BEFORE, payments=[{"amount": "60.00"}, {"amount": "9.10", "offline": True}])
    refund = rig.run(order)
    assert (refund.reason["reason"], order.effects) == ("manual_payment", [])
    assert rig.replay(refund.refund_id, operator="ann", manual_done=True)
    rig.run_until_idle()
    assert rig.load(refund.refund_id).state is State.CANCELLED
    assert _sums(rig, refund.refund_id) == ("60.00", "0.00")


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
    assert (_moved(order), _sums(rig, refund_id)) == (["101.40"], ("101.40", "0.00"))


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
    other = _other_settings(rig, "cancel")
    assert other.replay(refund.refund_id, operator="ann")
    other.run_until_idle()
    assert other.load(refund.refund_id).state is State.CANCELLED
    assert order.effects == ["delete_fulfillment", "cancel_order"]
    assert _sums(rig, refund.refund_id) == ("0.00", "101.40")
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
    assert _sums(rig, refund.refund_id) == ("101.40", "0.00")


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
        assert _told(rig, refund.refund_id)["amount"]["amount"] == "101.40"
        assert rig.replay(refund.refund_id, operator="ann")
        rig.run_until_idle()
        refund = rig.load(refund.refund_id)
    rig.simulator.merchant_cancels(order.id)
    assert rig.replay(refund.refund_id, operator="ann")
    rig.run_until_idle()
    assert rig.load(refund.refund_id).state is State.CANCELLED
    assert (order.effects, _moved(order)) == (["submit_refund"], ["101.40"])


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
    assert _moved(order) == ["41.00"]


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
    rig.simulator.provider_says(order.id, "FAILED")
    rig.watch.recheck_refund(refund.refund_id, rig.delivery())
    events = [event["type"] for _, event in read(rig.redis, rig.settings.namespace)]
    assert events[-1] == "refund.reversed"
    assert rig.redis.zscore(rig.key("watch"), refund.refund_id)


def test_a_setting_that_was_changed_in_between_asks_a_person(rig: Rig) -> None:
    """An order that is about to be cancelled is not refunded late; a replay begins again."""
    old = _other_settings(rig, "cancel")
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
    other = _other_settings(rig, wanted)
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
