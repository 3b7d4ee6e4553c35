"""What is unknown about Wix: refunds of both flows end well with either answer."""

from __future__ import annotations

from dataclasses import asdict
from decimal import Decimal
from typing import Any, get_args, get_type_hints

import pytest

from statemachine.flows import State
from tests.support.rig import AFTER, BEFORE, Rig
from worker.simulator import Flags
from worker.simulator.world.orders import Order

#: The value of flags that are a duration: short, because tests do not wait.
SHORT_MS = 1


def _answers() -> list[tuple[str, Any]]:
    """Return every flag with each of its values except the default."""
    found: list[tuple[str, Any]] = []
    for name, default in asdict(Flags()).items():
        kind = get_type_hints(Flags)[name]
        if isinstance(default, bool):
            found.append((name, not default))
        elif words := [word for word in get_args(kind) if isinstance(word, str)]:
            found += [(name, word) for word in words if word != default]
        elif name not in {"reason_chars", "quota_per_min"}:
            found.append((name, SHORT_MS))
    return found


def _refunded(order: Order) -> Decimal:
    parts = [part for refund in order.refunds for part in refund["transactions"]]
    return sum((Decimal(p["amount"]["amount"]) for p in parts), Decimal(0))


@pytest.mark.parametrize(("flag", "answer"), _answers())
def test_both_flows_end_well_whatever_wix_answers(rig: Rig, flag: str, answer: Any) -> None:
    """One cancel, and all the money refunded once, including a gift card."""
    rig.simulator.set_flags(**{flag: answer})
    shipped, card = rig.order(BEFORE, fulfillments=2), rig.order(AFTER)
    mixed = rig.order(
        AFTER, payments=[{"amount": "20.00", "kind": "gift_card"}, {"amount": "5.00"}]
    )
    assert rig.run(shipped).state is State.CANCELLED
    assert (shipped.cancellations, shipped.fulfillments) == (1, [])
    assert rig.run(card).state is State.REFUNDED
    assert _refunded(card) == Decimal("101.40")
    assert rig.run(mixed).state is State.REFUNDED
    assert _refunded(mixed) == Decimal("25.00")
