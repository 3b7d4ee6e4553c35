"""An order that is refunded line by line gives back exactly what was paid, in every currency."""

from __future__ import annotations

import random
from decimal import Decimal

import pytest

from statemachine.flows import State
from tests.support.rig import AFTER, Rig

#: Currencies with no, two, three and four decimals.
CURRENCIES = {"JPY": 0, "XOF": 0, "EUR": 2, "KWD": 3, "CLF": 4}


@pytest.mark.parametrize("currency", CURRENCIES)
@pytest.mark.parametrize("seed", range(4))
def test_all_lines_one_by_one_are_all_that_was_paid(rig: Rig, currency: str, seed: int) -> None:
    """Whatever their prices, quantities, taxes and discount, in any order."""
    chance = random.Random(f"{currency}/{seed}")  # noqa: S311 - repeatable on purpose
    unit = Decimal(1).scaleb(-CURRENCIES[currency])
    count = chance.randint(2, 5)
    prices = [unit * chance.randint(1, 5_000) for _ in range(count)]
    quantities = [chance.randint(1, 3) for _ in range(count)]
    lines = [
        {"price": str(price), "quantity": quantity, "tax": str(unit * chance.randint(0, 50))}
        for price, quantity in zip(prices, quantities, strict=True)
    ]
    goods = sum((p * q for p, q in zip(prices, quantities, strict=True)), Decimal(0))
    discount = (goods * chance.randint(0, 60) / 100).quantize(unit)
    order = rig.order(AFTER, currency=currency, lines=lines, discount=str(discount))
    for line in chance.sample(order.lines, len(order.lines)):
        refund = rig.run(order, lines=[{"line_item_id": line.id, "quantity": line.quantity}])
        assert (refund.state, refund.reason) == (State.REFUNDED, {})
    [payment] = order.payments
    assert order.refunded(payment.id) == payment.amount
