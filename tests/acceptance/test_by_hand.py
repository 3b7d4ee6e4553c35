"""Payments that only a person can pay back: what they are told, and what is recorded then."""

from __future__ import annotations

from typing import Any

from statemachine.flows import State
from tests.rig import AFTER, Rig
from worker import dead_letters
from worker.refund import Refund
from worker.simulator import Fault
from worker.simulator.orders import Order


def _moved(order: Order) -> list[tuple[str, bool]]:
    parts = [part for refund in order.refunds for part in refund["transactions"]]
    return [(part["amount"]["amount"], part["externalRefund"]) for part in parts]


def _told(refund: Refund) -> str:
    assert (refund.state, refund.reason["reason"]) == (State.DEAD, "manual_payment")
    return str(refund.reason["detail"])


def _paid(rig: Rig, refund: Refund) -> Refund:
    """The person has paid what was asked, and says so."""
    dead_letters.replay(rig.ledger, rig.broker, refund.refund_id, operator="ann", manual_done=True)
    rig.settle()
    return rig.load(refund.refund_id)


def _offline(amount: str) -> dict[str, Any]:
    return {"amount": amount, "offline": True}


def test_a_person_is_told_to_pay_what_is_asked_not_the_whole_payment(rig: Rig) -> None:
    """10.00 of an offline payment of 100.00."""
    order = rig.order(AFTER, payments=[_offline("100.00")])
    refund = rig.run(order, amount="10.00", currency="USD")
    assert f"pay 10.00 USD of payment {order.payments[0].id} (OFFLINE)" in _told(refund)
    assert _paid(rig, refund).state is State.REFUNDED
    assert _moved(order) == [("10.00", True)]


def test_a_person_is_told_only_the_rest(rig: Rig) -> None:
    """50.00 asked: 30.00 by Wix, so 20.00 by hand."""
    order = rig.order(AFTER, payments=[{"amount": "30.00"}, _offline("100.00")])
    refund = rig.run(order, amount="50.00", currency="USD")
    assert "pay 20.00 USD" in _told(refund)
    assert _paid(rig, refund).state is State.REFUNDED
    assert _moved(order) == [("30.00", False), ("20.00", True)]


def test_only_what_a_person_was_told_to_pay_is_recorded(rig: Rig) -> None:
    """While the letter lay on a desk Wix lost the other payment, too: it is asked for as well."""
    order = rig.order(AFTER, payments=[{"amount": "20.00"}, _offline("7.00")])
    refund = rig.run(order)
    assert "pay 7.00 USD" in _told(refund)
    order.payments[0].manual = "EXPIRED"
    again = _paid(rig, refund)
    assert _told(again).startswith(f"pay 20.00 USD of payment {order.payments[0].id} (EXPIRED)")
    assert "7.00" not in _told(again)
    assert order.refunds == []
    assert _paid(rig, again).state is State.REFUNDED
    assert _moved(order) == [("20.00", True), ("7.00", True)]


def test_a_replay_without_the_word_of_a_person_asks_again(rig: Rig) -> None:
    """What was paid before stays paid; what was not is asked for once more."""
    order = rig.order(AFTER, payments=[{"amount": "20.00"}, _offline("7.00")])
    refund = rig.run(order)
    order.payments[0].manual = "EXPIRED"
    again = _paid(rig, refund)
    assert rig.ledger.replay(again.refund_id, operator="ann")
    rig.settle()
    assert _told(rig.load(again.refund_id)) == _told(again)
    assert order.refunds == []


def test_when_less_goes_by_itself_a_person_pays_the_difference(rig: Rig) -> None:
    """Paid 20.00 by hand; then the merchant refunded 5.00 of what Wix would have paid."""
    order = rig.order(AFTER, payments=[{"amount": "30.00"}, _offline("100.00")])
    refund = rig.run(order, amount="50.00", currency="USD")
    assert "pay 20.00 USD" in _told(refund)
    rig.simulator.merchant_refunds(order.id, "dashboard", "5.00")
    again = _paid(rig, refund)
    assert "pay 5.00 USD more" in _told(again)
    assert _paid(rig, again).state is State.REFUNDED
    assert _moved(order)[1:] == [("25.00", False), ("25.00", True)]


def test_nobody_is_told_to_pay_nothing(rig: Rig) -> None:
    """The offline payment went back already; the card's is refunded."""
    order = rig.order(AFTER, payments=[{"amount": "20.00"}, _offline("7.00")])
    rig.simulator.merchant_refunds(order.id, "paid in the shop", payment_id=order.payments[1].id)
    assert rig.run(order).state is State.REFUNDED
    assert _moved(order) == [("7.00", True), ("20.00", False)]


def test_a_refusal_that_nothing_we_send_can_answer_ends(rig: Rig) -> None:
    """Wix wants it recorded, it is sent as recorded, and Wix wants it recorded: no circle."""
    order = rig.order(AFTER, payments=[_offline("7.00")])
    data = {"paymentId": order.payments[0].id}
    code = "EXTERNAL_REFUND_EXPECTED"
    rig.simulator.script(
        Fault("status", "submit_refund", status=428, code=code, data=data, times=9)
    )
    refund = rig.run(order, manual_payments="record")
    assert (refund.reason["reason"], refund.reason["wix_code"]) == ("refused_by_wix", code)
    assert order.refunds == []
