"""Partial refunds, several payments, and payments that Wix cannot refund itself."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from statemachine.flows import State
from tests.support.rig import AFTER, ANN, Rig
from worker.operations import dead_letters
from worker.simulator.world.orders import Order

FEE = "5d1e9c0a-0000-4000-8000-000000000001"
_SHOP: dict[str, Any] = {
    "lines": [
        {"price": "10.00", "quantity": 3, "tax": "3.00"},
        {"price": "4.50", "quantity": 1},
    ],
    "shipping": "5.00",
    "fees": [{"amount": "2.50", "id": FEE}],
}


def _shop(rig: Rig, **more: Any) -> Order:
    return rig.order(AFTER, **_SHOP, **more)


def _moved(order: Order) -> list[tuple[str, bool]]:
    """Return amount and external flag of each transaction of the newest refund."""
    parts = order.refunds[-1]["transactions"]
    return [(part["amount"]["amount"], part["externalRefund"]) for part in parts]


#: A gift card of 60.00 that is refunded by Wix.
_G60 = ("60.00", False)


def _payment(text: str) -> dict[str, Any]:
    """Return a payment: "60 gift", "50 manual" or "30"."""
    amount, _, kind = text.partition(" ")
    payment: dict[str, Any] = {"amount": f"{amount}.00", "offline": kind == "manual"}
    return payment | ({"kind": "gift_card"} if kind == "gift" else {})


@pytest.mark.parametrize(
    ("job", "total"),
    [
        ({"lines": [(0, 1)]}, "11.00"),
        ({"lines": [(0, 3), (1, 1)]}, "37.50"),
        ({"shipping": "2.00", "currency": "USD"}, "2.00"),
        ({"additional_fees": [{"additional_fee_id": FEE}]}, "2.50"),
        (
            {
                "lines": [(0, 2)],
                "shipping": "5.00",
                "additional_fees": [{"additional_fee_id": FEE, "amount": "1.00"}],
                "amount": "28.00",
                "currency": "USD",
            },
            "28.00",
        ),
        ({"amount": "0.01", "currency": "USD"}, "0.01"),
        ({}, "45.00"),
    ],
)
def test_a_partial_refund_is_exact(rig: Rig, job: dict[str, Any], total: str) -> None:
    """Lines, shipping, fees or a plain amount; what Wix calculates is what we send."""
    order = _shop(rig)
    lines = [
        {"line_item_id": order.lines[index].id, "quantity": quantity}
        for index, quantity in job.get("lines", [])
    ]
    refund = rig.run(order, **{**job, **({"lines": lines} if lines else {})})
    assert refund.state is State.REFUNDED
    assert Decimal(refund.facts.refund_amount) == Decimal(total)
    assert order.refunded(order.payments[0].id) == Decimal(total)
    named = order.refunds[0]["details"].get("lineItems", [])
    assert [item["quantity"] for item in named] == [q for _, q in job.get("lines", [])]


@pytest.mark.parametrize(
    ("currency", "amount", "reason"),
    [
        ("JPY", "100", None),
        ("JPY", "100.0", None),
        ("JPY", "100.5", "amount_precision"),
        ("KWD", "1.234", None),
        ("KWD", "1.2345", "amount_precision"),
        ("USD", "1.234", "amount_precision"),
    ],
)
def test_an_amount_with_too_many_decimals_is_rejected(
    rig: Rig, currency: str, amount: str, reason: str | None
) -> None:
    """This includes currencies with zero and three decimals; nothing is rounded."""
    order = rig.order(AFTER, amounts=["5000"], currency=currency)
    refund = rig.run(order, amount=amount, currency=currency)
    assert refund.reason.get("reason") == reason
    if reason is None:
        assert order.refunded(order.payments[0].id) == Decimal(amount)


def test_later_refunds_of_an_order_see_what_the_first_left(rig: Rig) -> None:
    """They run one after the other, and get no more than the rest."""
    order = rig.order(AFTER, amounts=["20.00"])
    first = rig.request(order, amount="15.00", currency="USD")
    second = rig.request(order, amount="15.00", currency="USD")
    third = rig.request(order)
    rig.run_until_idle()
    ended = [rig.load(refund_id) for refund_id in (first, second, third)]
    paid = [r.facts.refund_amount for r in ended if r.state is State.REFUNDED]
    refused = {r.reason["reason"] for r in ended if r.state is State.REJECTED}
    assert sum(map(Decimal, paid)) == Decimal("20.00")
    assert len(paid) + sum(r.state is State.REJECTED for r in ended) == 3
    assert refused <= {"amount_exceeds_refundable", "already_refunded"}


def test_an_amount_is_spread_over_the_payments_that_wix_can_refund(rig: Rig) -> None:
    """In their order, each up to what is left of it; manual payments are not needed."""
    payments = [
        {"amount": "50.00", "offline": True},
        {"amount": "10.00"},
        {"amount": "20.00"},
    ]
    order = rig.order(AFTER, payments=payments)
    refund = rig.run(order, amount="25.00", currency="USD")
    assert refund.state is State.REFUNDED
    assert _moved(order) == [("10.00", False), ("15.00", False)]


@pytest.mark.parametrize(
    ("amount", "moved"),
    [
        ("40.00", [("40.00", False)]),
        ("60.00", [("30.00", False), ("30.00", False)]),
        ("80.00", [("50.00", False), ("30.00", False)]),
        ("", [("50.00", False), ("30.00", False)]),
        ("55.00", [("25.00", False), ("30.00", False)]),
    ],
)
def test_a_gift_card_is_refunded_in_full_or_not_at_all(
    rig: Rig, amount: str, moved: list[tuple[str, bool]]
) -> None:
    """It is used if the card alone does not suffice; then the card covers the rest."""
    payments = [{"amount": "50.00"}, {"amount": "30.00", "kind": "gift_card"}]
    order = rig.order(AFTER, payments=payments)
    job = {"amount": amount, "currency": "USD"} if amount else {}
    refund = rig.run(order, **job)
    assert refund.state is State.REFUNDED
    assert _moved(order) == moved


@pytest.mark.parametrize(
    ("payments", "amount", "moved"),
    [
        (["40 gift", "50 gift", "50 gift"], "100.00", [("50.00", False), ("50.00", False)]),
        (["60 gift", "50 manual"], "50.00", [("50.00", True)]),
        (["30", "60 gift", "50 manual"], "50.00", [("30.00", False), ("20.00", True)]),
        (["50 manual", "30", "60 gift"], "100.00", [("10.00", True), ("30.00", False), _G60]),
        (["20", "50 gift", "40 gift"], "60.00", [("20.00", False), ("40.00", False)]),
    ],
)
def test_payments_are_chosen_that_add_up_to_the_amount(
    rig: Rig, payments: list[str], amount: str, moved: list[tuple[str, bool]]
) -> None:
    """If there are any: first with as little recorded as possible, then with as few gift cards."""
    order = rig.order(AFTER, payments=[_payment(text) for text in payments])
    refund = rig.run(order, amount=amount, currency="USD", manual_payments="record")
    assert refund.state is State.REFUNDED
    assert _moved(order) == moved


def test_a_person_is_asked_for_what_gift_cards_cannot_cover(rig: Rig) -> None:
    """30 by Wix and 20 manually: the gift card of 60 cannot be refunded in part."""
    order = rig.order(AFTER, payments=[_payment(x) for x in ("30", "60 gift", "50 manual")])
    refund = rig.run(order, amount="50.00", currency="USD")
    assert f"pay 20.00 USD of payment {order.payments[2].id}" in refund.reason["detail"]
    dead_letters.replay(rig.acts, refund.refund_id, operator=ANN, manual_done=True)
    rig.run_until_idle()
    assert _moved(order) == [("30.00", False), ("20.00", True)]


def test_a_search_that_would_take_too_long_is_left_to_a_person(rig: Rig) -> None:
    """Forty gift cards of different values have more sums than we try."""
    payments = [{"amount": f"{n**4 + 10**6}.00", "kind": "gift_card"} for n in range(40)]
    order = rig.order(AFTER, payments=payments)
    refund = rig.run(order, amount="30000000.00", currency="USD")
    assert (refund.state, refund.reason["reason"]) == (State.DEAD, "too_many_payments")
    assert order.refunds == []


def test_a_declined_payment_does_not_block_the_refund(rig: Rig) -> None:
    """Nothing was paid by it; the payment that succeeded is refunded."""
    payments = [{"amount": "20.00", "status": "DECLINED"}, {"amount": "20.00"}]
    order = rig.order(AFTER, payments=payments)
    assert rig.run(order).state is State.REFUNDED
    assert _moved(order) == [("20.00", False)]


def test_a_manual_payment_waits_for_a_person_and_is_recorded_then(rig: Rig) -> None:
    """The dead letter names amount, link and command; no money moves until it is replayed."""
    link = "https://provider.example/ch_1"
    payments = [
        {"amount": "20.00"},
        {"amount": "7.00", "manual": "EXPIRED", "provider_link": link},
    ]
    order = rig.order(AFTER, payments=payments)
    refund = rig.run(order)
    assert (refund.state, refund.reason["reason"]) == (State.DEAD, "manual_payment")
    assert order.refunds == []
    for part in ("7.00 USD", link, "EXPIRED", f"dead replay {refund.refund_id} --manual-done"):
        assert part in refund.reason["detail"]
    dead_letters.replay(rig.acts, refund.refund_id, operator=ANN, manual_done=True)
    rig.run_until_idle()
    assert rig.load(refund.refund_id).state is State.REFUNDED
    assert _moved(order) == [("20.00", False), ("7.00", True)]


def test_manual_done_only_applies_to_manual_payments(rig: Rig) -> None:
    """Nothing is recorded that nobody was asked to pay."""
    rig.simulator.set_flags(cancel_fulfilled="428")
    refund = rig.run(rig.order("2024-01-01T00:00:00Z", marked_fulfilled=True))
    with pytest.raises(dead_letters.CannotReplay, match="cannot_unfulfill"):
        dead_letters.replay(rig.acts, refund.refund_id, operator=ANN, manual_done=True)


def test_a_refund_that_wix_only_records_is_reported_as_such(rig: Rig) -> None:
    """`manual_payments: record`: the money moves elsewhere."""
    order = rig.order(AFTER, payments=[{"amount": "7.00", "offline": True}])
    refund = rig.run(order, manual_payments="record")
    assert refund.facts.effect == "refund_recorded"
    assert _moved(order) == [("7.00", True)]


@pytest.mark.parametrize("asked", [True, False])
def test_units_are_restocked_and_emails_sent_only_on_request(rig: Rig, asked: bool) -> None:
    """Never by default."""
    order = _shop(rig)
    rig.run(order, restock=asked, notify_buyer=asked)
    book = rig.simulator.books()["orders"][order.id]
    units = {order.lines[0].id: 3, order.lines[1].id: 1} if asked else {}
    assert book["restocked"] == units
    assert book["emails"] == (["refund"] if asked else [])


def test_an_order_of_three_hundred_lines_and_fifty_payments_is_refunded(rig: Rig) -> None:
    """The largest order that Wix allows, with names in many scripts and unknown fields."""
    order = rig.order(
        AFTER,
        lines=[{"price": "1.00", "name": "Käse 乳酪 🧀", "extra": {"mood": "new"}}] * 300,
        payments=[{"amount": "6.00", "extra": {"colour": ["x"]}} for _ in range(50)],
        extra={"paymentStatus": "A_WORD_OF_TOMORROW", "unheard": {"of": [1]}},
    )
    refund = rig.run(order)
    assert refund.state is State.REFUNDED
    assert len(_moved(order)) == 50
    assert Decimal(refund.facts.refund_amount) == Decimal("300.00")
