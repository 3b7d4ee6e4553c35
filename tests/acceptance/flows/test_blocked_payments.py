"""Payments that Wix cannot refund at all do not block the others."""

from __future__ import annotations

from decimal import Decimal
from itertools import product
from typing import Any

import pytest
import redis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from statemachine.flows import State
from tests.support.rig import AFTER, ANN, Rig
from worker.operations import dead_letters
from worker.refund.money import money
from worker.refund.outcomes import read
from worker.refund.record import Refund
from worker.simulator import Fault
from worker.simulator.world.orders import Order

DISABLED = "DISABLED_BY_PROVIDER"
#: Why a payment cannot be refunded: a reason that is reported to upstream, and one for a person.
BLOCKING = (DISABLED, "FORBIDDEN")


def _order(rig: Rig, *payments: dict[str, Any]) -> Order:
    return rig.order(AFTER, payments=list(payments))


def _moved(order: Order) -> list[tuple[str, bool]]:
    parts = [part for refund in order.refunds for part in refund["transactions"]]
    return [(part["amount"]["amount"], part["externalRefund"]) for part in parts]


def _last_event(rig: Rig) -> dict[str, Any]:
    *_, (_, event) = read(rig.broker.client, rig.settings.namespace)
    return event


def _asked(amount: str) -> dict[str, str]:
    return {"amount": amount, "currency": "USD"}


def _partly(refund: Refund) -> str:
    assert (refund.state, refund.reason["reason"]) == (State.DEAD, "partly_refunded")
    return str(refund.reason["detail"])


@pytest.mark.parametrize(
    ("blocked", "reason", "code"),
    [
        ({"chargeback": "40.00"}, "offset_by_chargeback", "AMOUNT_OFFSET_BY_CHARGEBACK"),
        ({"non_refundable": DISABLED}, "refund_disabled", DISABLED),
    ],
)
def test_a_full_refund_returns_the_rest_and_names_what_is_missing(
    rig: Rig, blocked: dict[str, str], reason: str, code: str
) -> None:
    """60.00 is refunded; upstream learns which 40.00 is not, and why."""
    order = _order(rig, {"amount": "40.00", **blocked}, {"amount": "60.00"})
    refund = rig.run(order)
    assert refund.state is State.REFUNDED
    assert _moved(order) == [("60.00", False)]
    event = _last_event(rig)
    assert event["type"] == "refund.finished"
    assert event["data"]["effect"] == "partly_refunded"
    assert event["data"]["amount"] == money("60.00", "USD")
    missing = {"amount": "40.00", "minor_units": 4000, "reason": reason, "wix_code": code}
    assert event["data"]["not_refunded"] == [{"payment_id": order.payments[0].id, **missing}]


@pytest.mark.parametrize("code", ["FORBIDDEN", "TRANSACTION_NOT_FOUND", "A_NEW_REASON"])
def test_what_a_person_must_clear_up_is_a_dead_letter_with_both_amounts(
    rig: Rig, code: str
) -> None:
    """The rest has been refunded."""
    order = _order(rig, {"amount": "40.00", "non_refundable": code}, {"amount": "60.00"})
    detail = _partly(rig.run(order))
    missing = f"40.00 USD of payment {order.payments[0].id} ({code})"
    assert detail == f"60.00 USD refunded; not refunded: {missing}"
    assert _moved(order) == [("60.00", False)]
    assert _last_event(rig)["type"] == "refund.dead_lettered"
    assert _last_event(rig)["data"]["amount"] == money("60.00", "USD")


def test_an_amount_that_cannot_be_reached_is_a_dead_letter_with_both_amounts(rig: Rig) -> None:
    """80.00 requested, 60.00 refunded: 20.00 of the blocked payment is missing."""
    order = _order(rig, {"amount": "40.00", "non_refundable": DISABLED}, {"amount": "60.00"})
    detail = _partly(rig.run(order, **_asked("80.00")))
    assert detail.startswith("60.00 USD refunded; not refunded: 20.00 USD of payment")
    assert _moved(order) == [("60.00", False)]


@pytest.mark.parametrize("amount", ["60.00", "10.00"])
def test_an_amount_that_the_other_payments_cover_needs_no_blocked_one(
    rig: Rig, amount: str
) -> None:
    """Nothing is missing, and nothing is reported as missing."""
    order = _order(rig, {"amount": "40.00", "chargeback": "40.00"}, {"amount": "60.00"})
    refund = rig.run(order, **_asked(amount))
    assert (refund.state, refund.facts.effect) == (State.REFUNDED, "payments_refunded")
    assert "not_refunded" not in _last_event(rig)["data"]
    assert _moved(order) == [(amount, False)]


def test_more_than_was_paid_is_refused_as_before(rig: Rig) -> None:
    """Nothing is refunded if the amount is wrong."""
    order = _order(rig, {"amount": "40.00", "non_refundable": DISABLED}, {"amount": "60.00"})
    refund = rig.run(order, **_asked("100.01"))
    assert (refund.state, refund.reason["reason"]) == (State.REJECTED, "amount_exceeds_refundable")
    assert refund.reason["detail"] == "100.01 requested, 60.00 left, 40.00 not refundable"
    assert order.refunds == []


def test_a_gift_card_is_not_split_for_what_is_missing(rig: Rig) -> None:
    """70.00 requested: 40.00 is blocked, 50.00 or 30.00 can be refunded, so 20.00 is missing."""
    order = _order(
        rig,
        {"amount": "40.00", "non_refundable": DISABLED},
        {"amount": "30.00", "kind": "gift_card"},
        {"amount": "50.00", "kind": "gift_card"},
    )
    detail = _partly(rig.run(order, **_asked("70.00")))
    assert detail.startswith("50.00 USD refunded; not refunded: 20.00 USD of payment")
    assert _moved(order) == [("50.00", False)]


def test_lines_are_refunded_as_far_as_possible(rig: Rig) -> None:
    """Wix calculates 80.00 for the line, of which 60.00 can be refunded."""
    lines = [{"price": "80.00"}, {"price": "20.00"}]
    payments = [{"amount": "40.00", "chargeback": "40.00"}, {"amount": "60.00"}]
    order = rig.order(AFTER, lines=lines, payments=payments)
    line = {"line_item_id": order.lines[0].id, "quantity": 1}
    detail = _partly(rig.run(order, lines=[line]))
    assert detail.startswith("60.00 USD refunded; not refunded: 20.00 USD of payment")


def test_a_person_is_asked_before_the_rest_is_refunded(rig: Rig) -> None:
    """Three payments: blocked, manual, card. What is missing is reported at the end."""
    order = _order(
        rig,
        {"amount": "40.00", "chargeback": "40.00"},
        {"amount": "7.00", "offline": True},
        {"amount": "60.00"},
    )
    refund = rig.run(order)
    assert refund.reason["reason"] == "manual_payment"
    assert "pay 7.00 USD of payment" in refund.reason["detail"]
    dead_letters.replay(rig.acts, refund.refund_id, operator=ANN, manual_done=True)
    rig.run_until_idle()
    assert rig.load(refund.refund_id).facts.effect == "partly_refunded"
    assert sorted(_moved(order)) == [("60.00", False), ("7.00", True)]


@pytest.mark.parametrize(
    ("status", "code", "reason", "why"),
    [
        (428, "PAYMENT_NOT_REFUNDABLE", DISABLED, DISABLED),
        (428, "PAYMENT_NOT_REFUNDABLE", "FORBIDDEN", "FORBIDDEN"),
        (428, "PAYMENT_NOT_REFUNDABLE", "", "UNKNOWN_REASON"),
        (404, "PAYMENT_NOT_FOUND", "", "TRANSACTION_NOT_FOUND"),
    ],
)
def test_a_payment_that_only_the_call_refuses_does_not_hold_back_the_others(
    rig: Rig, status: int, code: str, reason: str, why: str
) -> None:
    """Refundability showed it as refundable: the refund is planned again without it."""
    order = _order(rig, {"amount": "40.00"}, {"amount": "60.00"})
    data = {"paymentId": order.payments[0].id} | ({"nonRefundableReason": reason} if reason else {})
    rig.simulator.script(Fault("status", "submit_refund", status=status, code=code, data=data))
    refund = rig.run(order)
    assert refund.state is (State.REFUNDED if why == DISABLED else State.DEAD)
    assert refund.facts.effect == "partly_refunded"
    assert _moved(order) == [("60.00", False)]
    missing = [(one.amount, one.wix_code) for one in refund.facts.not_refunded]
    assert missing == [("40.00", why)]


@pytest.mark.parametrize("kind", ["lost_reply", "drop_after", "garbage"])
def test_what_is_missing_is_known_whatever_happens_to_the_reply(rig: Rig, kind: Any) -> None:
    """It is saved before the call."""
    order = _order(rig, {"amount": "40.00", "chargeback": "40.00"}, {"amount": "60.00"})
    rig.simulator.script(Fault(kind, "submit_refund"))
    refund = rig.run(order)
    assert (refund.state, refund.facts.effect) == (State.REFUNDED, "partly_refunded")
    assert len(order.refunds) == 1


def test_what_is_missing_is_known_even_if_the_step_writes_nothing_after_the_call(
    rig: Rig,
) -> None:
    """It was saved before the call; the refund itself is found at Wix."""

    def fail() -> None:
        if order.refunds:
            rig.at.clear()
            raise redis.ConnectionError

    order = _order(rig, {"amount": "40.00", "chargeback": "40.00"}, {"amount": "60.00"})
    rig.at["after_call"] = fail
    refund = rig.run(order)
    assert rig.at == {}
    assert (refund.state, refund.facts.effect) == (State.REFUNDED, "partly_refunded")
    assert len(order.refunds) == 1


def test_a_payment_that_is_blocked_and_returned_already_is_not_missing(rig: Rig) -> None:
    """The provider allows no refund of it, but it has already been refunded."""
    order = _order(rig, {"amount": "40.00"}, {"amount": "60.00"})
    rig.simulator.merchant_refunds(order.id, "dashboard", "40.00", order.payments[0].id)
    rig.run_queued()
    order.payments[0].non_refundable = DISABLED
    refund = rig.run(order)
    assert (refund.state, refund.facts.effect) == (State.REFUNDED, "payments_refunded")


def test_what_can_be_refunded_may_not_change_for_ever(rig: Rig) -> None:
    """If Wix gives another answer at every look, a person is asked."""
    order = _order(rig, *({"amount": "10.00"} for _ in range(3)))
    refund_id = rig.request(order)
    order.payments[0].non_refundable = DISABLED
    for number in range(20):
        order.payments[1].non_refundable = DISABLED if number % 2 else ""
        rig.run_one_step()
        rig.let_an_hour_pass()
    refund = rig.load(refund_id)
    assert (refund.state, refund.reason["reason"]) == (State.DEAD, "order_keeps_changing")
    assert order.refunds == []


#: What is left of a payment, and what kind it is.
PAYMENTS = st.lists(
    st.tuples(st.integers(1, 9), st.sampled_from(["card", "gift_card", "offline", *BLOCKING])),
    min_size=1,
    max_size=5,
)


def _given(amount: int, kind: str) -> dict[str, Any]:
    payment: dict[str, Any] = {"amount": f"{amount}.00"}
    if kind in BLOCKING:
        return payment | {"non_refundable": kind}
    return payment | ({"offline": True} if kind == "offline" else {"kind": kind})


@given(payments=PAYMENTS, asked=st.integers(0, 45))
# Without a deadline: an example takes long when the machine is busy, which proves nothing.
@settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_as_much_as_possible_goes_back_and_the_rest_is_named(
    rig: Rig, payments: list[tuple[int, str]], asked: int
) -> None:
    """Whatever was requested, of whatever payments; a wrong amount moves no money."""
    order = _order(rig, *(_given(*payment) for payment in payments))
    job = _asked(f"{asked}.00") if asked else {}
    refund = rig.run(order, manual_payments="record", **job)
    able = [(left, kind) for left, kind in payments if kind not in BLOCKING]
    blocked = sum(left for left, kind in payments if kind in BLOCKING)
    choices = [(0, left) if kind == "gift_card" else range(left + 1) for left, kind in able]
    sums = {sum(one) for one in product(*choices)}
    wanted = asked or sum(left for left, _ in payments)
    best = max(total for total in sums if total <= wanted)
    moved = sum((Decimal(amount) for amount, _ in _moved(order)), Decimal(0))
    missing = sum((Decimal(n.amount or "0") for n in refund.facts.not_refunded), Decimal(0))
    if best == 0 or wanted - best > blocked:
        assert refund.state in {State.REJECTED, State.DEAD}
        assert not moved
        return
    assert moved == best
    assert missing == wanted - best
    assert len(order.refunds) == 1
    if best == wanted:
        assert refund.state is State.REFUNDED
        assert refund.facts.effect != "partly_refunded"
    else:
        assert refund.facts.effect == "partly_refunded"
        assert refund.state is State.REFUNDED or refund.reason["reason"] == "partly_refunded"
        assert not (asked and refund.state is State.REFUNDED)
