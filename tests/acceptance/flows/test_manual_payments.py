"""Payments that only a person can pay back: what we ask for, and what Wix records afterwards."""

from __future__ import annotations

import re
from contextlib import suppress
from decimal import Decimal
from functools import partial
from typing import Any

from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from statemachine.flows import State
from tests.support.rig import AFTER, ANN, Rig
from worker.operations import dead_letters
from worker.refund.record import Refund
from worker.simulator import Fault
from worker.simulator.script.reading import InvalidInput
from worker.simulator.world.orders import Order


def _moved(order: Order) -> list[tuple[str, bool]]:
    parts = [part for refund in order.refunds for part in refund["transactions"]]
    return [(part["amount"]["amount"], part["externalRefund"]) for part in parts]


def _asked(refund: Refund) -> str:
    assert (refund.state, refund.reason["reason"]) == (State.DEAD, "manual_payment")
    return str(refund.reason["detail"])


def _paid(rig: Rig, refund: Refund) -> Refund:
    """Confirm that what was asked is paid."""
    dead_letters.replay(rig.acts, refund.refund_id, operator=ANN, manual_done=True)
    rig.run_until_idle()
    return rig.load(refund.refund_id)


def _offline(amount: str) -> dict[str, Any]:
    return {"amount": amount, "offline": True}


def test_a_person_is_asked_for_the_requested_amount_not_the_whole_payment(rig: Rig) -> None:
    """10.00 of an offline payment of 100.00."""
    order = rig.order(AFTER, payments=[_offline("100.00")])
    refund = rig.run(order, amount="10.00", currency="USD")
    assert f"pay 10.00 USD of payment {order.payments[0].id} (OFFLINE)" in _asked(refund)
    assert _paid(rig, refund).state is State.REFUNDED
    assert _moved(order) == [("10.00", True)]


def test_a_person_is_asked_only_for_what_wix_cannot_refund(rig: Rig) -> None:
    """50.00 requested: Wix refunds 30.00, so 20.00 must be paid manually."""
    order = rig.order(AFTER, payments=[{"amount": "30.00"}, _offline("100.00")])
    refund = rig.run(order, amount="50.00", currency="USD")
    assert "pay 20.00 USD" in _asked(refund)
    assert _paid(rig, refund).state is State.REFUNDED
    assert _moved(order) == [("30.00", False), ("20.00", True)]


def test_only_what_a_person_was_asked_to_pay_is_recorded(rig: Rig) -> None:
    """If Wix can no longer refund the other payment either, the person is asked for it, too."""
    order = rig.order(AFTER, payments=[{"amount": "20.00"}, _offline("7.00")])
    refund = rig.run(order)
    assert "pay 7.00 USD" in _asked(refund)
    order.payments[0].manual = "EXPIRED"
    again = _paid(rig, refund)
    assert _asked(again).startswith(f"pay 20.00 USD of payment {order.payments[0].id} (EXPIRED)")
    assert "7.00" not in _asked(again)
    assert order.refunds == []
    assert _paid(rig, again).state is State.REFUNDED
    assert _moved(order) == [("20.00", True), ("7.00", True)]


def test_a_replay_without_manual_done_asks_again(rig: Rig) -> None:
    """What was paid before stays paid; the rest is asked for once more."""
    order = rig.order(AFTER, payments=[{"amount": "20.00"}, _offline("7.00")])
    refund = rig.run(order)
    order.payments[0].manual = "EXPIRED"
    again = _paid(rig, refund)
    assert rig.replay(again.refund_id, operator="ann")
    rig.run_until_idle()
    assert _asked(rig.load(again.refund_id)) == _asked(again)
    assert order.refunds == []


def test_if_wix_can_refund_less_than_before_a_person_pays_the_difference(rig: Rig) -> None:
    """20.00 was paid manually; then the merchant refunded 5.00 of what Wix would have refunded."""
    order = rig.order(AFTER, payments=[{"amount": "30.00"}, _offline("100.00")])
    refund = rig.run(order, amount="50.00", currency="USD")
    assert "pay 20.00 USD" in _asked(refund)
    rig.simulator.merchant_refunds(order.id, "dashboard", "5.00")
    again = _paid(rig, refund)
    assert "pay 5.00 USD more" in _asked(again)
    assert _paid(rig, again).state is State.REFUNDED
    assert _moved(order)[1:] == [("25.00", False), ("25.00", True)]


def test_nobody_is_asked_to_pay_zero(rig: Rig) -> None:
    """The offline payment is already returned, so only the card is refunded."""
    order = rig.order(AFTER, payments=[{"amount": "20.00"}, _offline("7.00")])
    rig.simulator.merchant_refunds(order.id, "paid in the shop", payment_id=order.payments[1].id)
    assert rig.run(order).state is State.REFUNDED
    assert _moved(order) == [("7.00", True), ("20.00", False)]


def test_wix_asking_for_an_external_refund_twice_ends_the_refund(rig: Rig) -> None:
    """Otherwise we would send the same call forever."""
    order = rig.order(AFTER, payments=[_offline("7.00")])
    data = {"paymentId": order.payments[0].id}
    code = "EXTERNAL_REFUND_EXPECTED"
    rig.simulator.script(
        Fault("status", "submit_refund", status=428, code=code, data=data, times=9)
    )
    refund = rig.run(order, manual_payments="record")
    assert (refund.reason["reason"], refund.reason["wix_code"]) == ("refused_by_wix", code)
    assert order.refunds == []


def test_what_was_paid_manually_is_only_recorded(rig: Rig) -> None:
    """Even if Wix could refund the payment itself by now."""
    order = rig.order(AFTER, payments=[{"amount": "7.00", "manual": "NOT_SUPPORTED"}])
    refund = rig.run(order)
    assert "pay 7.00 USD" in _asked(refund)
    order.payments[0].manual = ""
    assert _paid(rig, refund).state is State.REFUNDED
    assert _moved(order) == [("7.00", True)]


def test_what_was_paid_manually_counts_even_if_wix_can_refund_more_now(rig: Rig) -> None:
    """The merchant's refund failed: the card could cover everything now, but must not."""
    order = rig.order(AFTER, payments=[{"amount": "50.00"}, _offline("100.00")])
    rig.simulator.merchant_refunds(order.id, "dashboard", "20.00", payment_id=order.payments[0].id)
    refund = rig.run(order, amount="50.00", currency="USD")
    assert "pay 20.00 USD" in _asked(refund)
    rig.simulator.provider_says(order.id, "FAILED")
    assert _paid(rig, refund).state is State.REFUNDED
    assert _moved(order)[1:] == [("30.00", False), ("20.00", True)]


def test_what_the_merchant_recorded_is_not_recorded_again(rig: Rig) -> None:
    """The merchant marked one of two manual payments as refunded in the dashboard."""
    order = rig.order(AFTER, payments=[_offline("30.00"), _offline("100.00")])
    refund = rig.run(order, amount="50.00", currency="USD")
    assert "pay 30.00 USD" in _asked(refund)
    rig.simulator.merchant_refunds(order.id, "in the shop", payment_id=order.payments[0].id)
    assert _paid(rig, refund).state is State.REFUNDED
    assert _moved(order) == [("30.00", True), ("20.00", True)]


def test_a_part_that_the_merchant_recorded_is_not_recorded_again(rig: Rig) -> None:
    """The 20.00 of the offline payment are already recorded: nothing is left to record."""
    order = rig.order(AFTER, payments=[{"amount": "30.00"}, _offline("100.00")])
    refund = rig.run(order, amount="50.00", currency="USD")
    rig.simulator.merchant_refunds(order.id, "dashboard", "20.00", payment_id=order.payments[1].id)
    assert _paid(rig, refund).state is State.REFUNDED
    assert _moved(order) == [("20.00", True), ("30.00", False)]


def test_if_the_merchant_recorded_everything_a_person_hears_that_nothing_is_left(rig: Rig) -> None:
    """A person has paid, so the refund is not reported as rejected."""
    order = rig.order(AFTER, payments=[_offline("7.00")])
    refund = rig.run(order)
    rig.simulator.merchant_refunds(order.id, "in the shop")
    after = _paid(rig, refund)
    assert (after.state, after.reason["reason"]) == (State.DEAD, "after_manual_payment")
    assert "paid manually: 7.00 USD of payment" in after.reason["detail"]


def test_a_refund_that_a_person_has_partly_paid_is_not_rejected(rig: Rig) -> None:
    """The merchant refunded the card meanwhile; upstream must not request the rest again."""
    order = rig.order(AFTER, payments=[{"amount": "30.00"}, _offline("20.00")])
    refund = rig.run(order, amount="50.00", currency="USD")
    assert "pay 20.00 USD" in _asked(refund)
    rig.simulator.merchant_refunds(order.id, "dashboard", payment_id=order.payments[0].id)
    after = _paid(rig, refund)
    assert (after.state, after.reason["reason"]) == (State.DEAD, "after_manual_payment")
    assert "paid manually: 20.00 USD" in after.reason["detail"]
    assert "50.00 requested, 20.00 left" in after.reason["detail"]


def test_a_payment_that_is_fully_paid_is_not_asked_for_again(rig: Rig) -> None:
    """20.00 was paid; then the card expired: 30.00 more is asked for, and no 0.00."""
    order = rig.order(AFTER, payments=[{"amount": "30.00"}, _offline("100.00")])
    refund = rig.run(order, amount="50.00", currency="USD")
    order.payments[0].manual = "EXPIRED"
    again = _asked(_paid(rig, refund))
    assert again.startswith(f"pay 30.00 USD of payment {order.payments[0].id} (EXPIRED); then")


def test_what_is_left_includes_what_a_person_could_pay(rig: Rig) -> None:
    """130.00 can be returned: 30.00 by Wix, 100.00 manually."""
    order = rig.order(AFTER, payments=[{"amount": "30.00"}, _offline("100.00")])
    refund = rig.run(order, amount="140.00", currency="USD")
    assert refund.reason["reason"] == "amount_exceeds_refundable"
    assert refund.reason["detail"] == "140.00 requested, 130.00 left"


def test_an_authorized_payment_does_not_block_a_manual_one(rig: Rig) -> None:
    """An authorization can only be voided in full; what a person paid is recorded."""
    order = rig.order(AFTER, payments=[{"amount": "10.00", "authorized": True}, _offline("7.00")])
    refund = rig.run(order, amount="7.00", currency="USD")
    assert "pay 7.00 USD" in _asked(refund)
    assert _paid(rig, refund).state is State.REFUNDED
    assert _moved(order) == [("7.00", True)]


def test_two_recorded_refunds_of_a_payment_wait_for_each_other(rig: Rig) -> None:
    """A record takes seconds at Wix, which refuses the second one meanwhile. W66."""
    clock = [1_000_000]
    rig.simulator.clock_ms = lambda: clock[0]
    rig.simulator.set_flags(external_settles_ms=5_000)
    order = rig.order(AFTER, payments=[_offline("7.00")])
    job = {"amount": "3.00", "currency": "USD", "manual_payments": "record"}
    both = [rig.request(order, **job) for _ in range(2)]
    for _ in range(10):
        rig.run_queued()
        rig.let_an_hour_pass()
    first, second = (rig.load(refund_id) for refund_id in both)
    assert {first.state, second.state} == {State.REFUND_SUBMITTED, State.REFUNDABLE}
    assert _moved(order) == [("3.00", True)]
    clock[0] += 5_000
    for _ in range(3):
        rig.run_queued()
        rig.let_an_hour_pass()
    clock[0] += 5_000
    rig.run_until_idle()
    assert [rig.load(refund_id).state for refund_id in both] == [State.REFUNDED] * 2
    assert _moved(order) == [("3.00", True), ("3.00", True)]


#: What happens to a payment between the dead letter and its replay.
EVENTS = st.sampled_from(["expires", "works again", "merchant refunds", "merchant records", "none"])


@given(
    payments=st.lists(st.tuples(st.integers(1, 10), st.booleans()), min_size=1, max_size=4),
    part=st.integers(0, 40),
    rounds=st.lists(st.tuples(st.booleans(), st.integers(0, 3), EVENTS), min_size=1, max_size=4),
)
@example(payments=[(1, False), (1, True)], part=0, rounds=[(False, 0, "merchant refunds")] * 2)
# Without a deadline: an example takes long when the machine is busy, which proves nothing.
@settings(
    max_examples=120, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_the_buyer_never_gets_too_much_and_nothing_paid_is_reported_as_rejected(
    rig: Rig,
    payments: list[tuple[int, bool]],
    part: int,
    rounds: list[tuple[bool, int, str]],
) -> None:
    """Wix and the person together pay what was requested, whatever happens in between."""
    parts = [{"amount": f"{price}.00", "offline": offline} for price, offline in payments]
    order = rig.order(AFTER, payments=parts)
    whole = sum(price for price, _ in payments)
    asked = min(part, whole)
    named = {"amount": f"{asked}.00", "currency": "USD"} if asked else {}
    refund = rig.run(order, **named)
    manually = Decimal(0)
    for pays, place, event in rounds:
        if refund.reason.get("reason") != "manual_payment":
            break
        if pays:
            manually += sum(map(Decimal, re.findall(r"([\d.]+) USD", refund.reason["detail"])))
        _happens(rig, order, place % len(payments), event)
        dead_letters.replay(rig.acts, refund.refund_id, operator=ANN, manual_done=pays)
        rig.run_until_idle()
        refund = rig.load(refund.refund_id)
    ours = [r for r in order.refunds if refund.fingerprint in r["details"]["reason"]]
    shares = [
        (Decimal(p["amount"]["amount"]), p["externalRefund"])
        for r in ours
        for p in r["transactions"]
    ]
    by_wix = sum((amount for amount, external in shares if not external), Decimal(0))
    recorded = sum((amount for amount, external in shares if external), Decimal(0))
    assert len(ours) <= 1
    assert by_wix + manually <= (asked or whole)
    assert recorded <= manually
    if refund.state is State.REFUNDED and asked:
        assert by_wix + manually == asked
    if manually:
        assert refund.state is not State.REJECTED


def _happens(rig: Rig, order: Order, place: int, event: str) -> None:
    payment = order.payments[place]
    refund = partial(rig.simulator.merchant_refunds, order.id, "dashboard", "1.00", payment.id)
    if event == "expires":
        payment.manual = "EXPIRED"
    elif event == "works again":
        payment.manual = ""
    elif event == "merchant refunds" and not payment.offline:
        with suppress(InvalidInput):  # nothing is left of it
            refund()
    elif event == "merchant records" and (payment.offline or payment.manual):
        with suppress(InvalidInput):
            refund(external=True)
