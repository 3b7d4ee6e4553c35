"""The amount that we send is the requested one, to the smallest unit of the currency."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from statemachine.flows import State
from tests.support.rig import AFTER, Rig
from worker.simulator.world.orders import Order

FEE = "5d1e9c0a-0000-4000-8000-000000000001"


def _lines(order: Order, *numbers: int) -> list[dict[str, Any]]:
    """Name one unit of each of these lines."""
    return [{"line_item_id": order.lines[number].id, "quantity": 1} for number in numbers]


def _thirds(rig: Rig, discount: str) -> Order:
    """Place an order of three lines of 10.00 with a discount that has no exact third."""
    paid = Decimal("30.00") - Decimal(discount)
    lines = [{"price": "10.00"}] * 3
    return rig.order(AFTER, lines=lines, discount=discount, payments=[{"amount": f"{paid:f}"}])


def _sent(order: Order) -> list[str]:
    parts = [part for refund in order.refunds for part in refund["transactions"]]
    return [part["amount"]["amount"] for part in parts]


@pytest.mark.parametrize(
    ("discount", "amounts"),
    [("10.00", ["6.67", "6.67", "6.66"]), ("20.00", ["3.33", "3.33", "3.34"])],
)
def test_the_last_line_of_an_order_takes_what_is_left(
    rig: Rig, discount: str, amounts: list[str]
) -> None:
    """Wix rounds each line on its own, so the sum of three may differ by a cent."""
    order = _thirds(rig, discount)
    ended = [rig.run(order, lines=_lines(order, number)) for number in range(3)]
    assert [refund.state for refund in ended] == [State.REFUNDED] * 3
    assert _sent(order) == amounts


def test_all_lines_at_once_take_what_is_left(rig: Rig) -> None:
    """Wix calculates 20.01 for what was paid with 20.00."""
    order = _thirds(rig, "10.00")
    assert rig.run(order, lines=_lines(order, 0, 1, 2)).state is State.REFUNDED
    assert _sent(order) == ["20.00"]


def test_the_named_amount_is_not_raised_to_what_is_left(rig: Rig) -> None:
    """A caller that gives an amount gets no more than that."""
    order = _thirds(rig, "20.00")
    for number in range(3):
        rig.run(order, lines=_lines(order, number), amount="3.33", currency="USD")
    assert _sent(order) == ["3.33", "3.33", "3.33"]


def test_more_than_a_cent_per_line_is_no_rounding(rig: Rig) -> None:
    """The merchant refunded 0.05: the lines cost more than what is left, and nothing is sent."""
    order = _thirds(rig, "10.00")
    rig.simulator.merchant_refunds(order.id, "dashboard", "0.05")
    refund = rig.run(order, lines=_lines(order, 0, 1, 2))
    assert (refund.state, refund.reason["reason"]) == (State.REJECTED, "amount_exceeds_refundable")
    assert refund.reason["detail"] == "20.01 requested, 19.95 left"


def test_a_line_that_is_not_the_last_gets_only_its_price(rig: Rig) -> None:
    """1.01 is left after it, of which another line costs 1.00."""
    order = rig.order(AFTER, lines=[{"price": "1.00"}] * 2, payments=[{"amount": "2.01"}])
    rig.run(order, lines=_lines(order, 0))
    assert _sent(order) == ["1.00"]


@pytest.mark.parametrize(
    ("price", "currency", "sent"),
    [
        ("125.606700", "USD", "125.61"),
        ("125.604999", "EUR", "125.60"),
        ("125.5", "JPY", "126"),
        ("125.6067", "KWD", "125.607"),
    ],
)
def test_what_wix_calculates_is_rounded_to_the_currency(
    rig: Rig, price: str, currency: str, sent: str
) -> None:
    """The caller did not name that amount, so its precision is not an error of the caller."""
    lines = [{"price": price}, {"price": "10"}]
    order = rig.order(AFTER, lines=lines, payments=[{"amount": "200"}], currency=currency)
    refund = rig.run(order, lines=_lines(order, 0))
    assert refund.state is State.REFUNDED
    assert _sent(order) == [sent]


@pytest.mark.parametrize(
    ("amount", "reason"),
    [("8.50", None), ("10.00", None), ("10.01", "amount_mismatch"), ("0.01", None)],
)
def test_lines_are_refunded_with_a_lower_amount_but_not_with_a_higher_one(
    rig: Rig, amount: str, reason: str | None
) -> None:
    """A restocking fee is kept; Wix still counts the unit as refunded. W69."""
    order = rig.order(AFTER, lines=[{"price": "10.00"}] * 2)
    job = {"lines": _lines(order, 0), "amount": amount, "currency": "USD"}
    refund = rig.run(order, **job)
    assert refund.reason.get("reason") == reason
    assert _sent(order) == ([] if reason else [amount])
    assert order.refunded_units(order.lines[0].id) == (0 if reason else 1)


@pytest.mark.parametrize(
    ("written", "currency", "sent"),
    [
        ("1.000", "EUR", "1.00"),
        ("1", "EUR", "1.00"),
        ("1.5", "EUR", "1.50"),
        ("100.0", "JPY", "100"),
        ("1.5", "KWD", "1.500"),
        ("0001.10", "USD", "1.10"),
    ],
)
def test_every_amount_has_exactly_the_decimals_of_its_currency(
    rig: Rig, written: str, currency: str, sent: str
) -> None:
    """Whatever the job wrote: the amount, the shipping and the fees."""
    order = rig.order(
        AFTER,
        lines=[{"price": "500"}],
        shipping="200",
        fees=[{"amount": "200", "id": FEE}],
        currency=currency,
    )
    rig.run(order, amount=written, currency=currency)
    rig.run(order, shipping=written, currency=currency)
    fee = {"additional_fee_id": FEE, "amount": written}
    rig.run(order, additional_fees=[fee], currency=currency)
    assert _sent(order) == [sent] * 3
    details = [refund["details"] for refund in order.refunds]
    assert details[1]["shipping"]["amount"]["amount"] == sent
    assert details[2]["additionalFees"][0]["amount"]["amount"] == sent


def test_what_is_left_of_a_payment_is_cut_to_the_currency(rig: Rig) -> None:
    """Wix would refuse more than is left, so a fraction of a cent remains."""
    order = rig.order(AFTER, payments=[{"amount": "20.005"}, {"amount": "5"}])
    assert rig.run(order).state is State.REFUNDED
    assert _sent(order) == ["20.00", "5.00"]
