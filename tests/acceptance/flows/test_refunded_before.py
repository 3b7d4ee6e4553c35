"""Orders of which nothing is left to refund."""

from __future__ import annotations

import pytest

from statemachine.flows import State
from tests.support.rig import AFTER, Rig


def test_an_order_without_payments_has_nothing_to_refund(rig: Rig) -> None:
    """This is not a success: nobody got any money back."""
    refund = rig.run(rig.order(AFTER, amounts=()))
    assert (refund.state, refund.reason["reason"]) == (State.REJECTED, "no_payment_recorded")


@pytest.mark.parametrize("job", [{}, {"amount": "5.00", "currency": "USD"}])
@pytest.mark.parametrize("paid", ["20.00", "20.004"])
def test_an_order_that_the_merchant_refunded_is_reported_as_such(
    rig: Rig, job: dict[str, str], paid: str
) -> None:
    """Whatever was requested, and even if Wix shows a payment as refundable with 0.00 left."""
    order = rig.order(AFTER, payments=[{"amount": paid}])
    rig.simulator.merchant_refunds(order.id, "dashboard", "20.00")
    refund = rig.run(order, **job)
    assert (refund.state, refund.reason["reason"]) == (State.REJECTED, "already_refunded")


def test_a_second_full_refund_is_told_which_refund_came_first(rig: Rig) -> None:
    """Our refunds are named by their id and Wix's; those of the merchant by Wix's id."""
    order = rig.order(AFTER, payments=[{"amount": "20.00"}])
    rig.simulator.merchant_refunds(order.id, "dashboard", "5.00")
    first, second = rig.run(order, refund_id="rf-first"), rig.run(order, refund_id="rf-second")
    assert (first.state, second.state) == (State.REFUNDED, State.REJECTED)
    assert second.reason["reason"] == "already_refunded"
    ids = [one["id"] for one in order.refunds]
    assert second.reason["detail"] == (
        f"5.00 USD not by this worker (Wix's id {ids[0]}); "
        f"15.00 USD by our refund rf-first (Wix's id {ids[1]})"
    )


def test_an_earlier_refund_that_the_ledger_does_not_know_is_reported_as_ours(rig: Rig) -> None:
    """It was made by another installation, or its record is gone."""
    order = rig.order(AFTER, payments=[{"amount": "20.00"}])
    rig.simulator.merchant_refunds(order.id, "(ref 0123456789abcdef0123) damaged", "20.00")
    assert "20.00 USD by another refund of this worker" in rig.run(order).reason["detail"]


def test_many_earlier_refunds_do_not_make_a_long_sentence(rig: Rig) -> None:
    """Only the first ten are named."""
    order = rig.order(AFTER, payments=[{"amount": "20.00"}])
    for _ in range(20):
        rig.simulator.merchant_refunds(order.id, "dashboard", "1.00")
        rig.simulator.provider_says(order.id, "SUCCEEDED")
    detail = rig.run(order).reason["detail"]
    assert detail.count("not by this worker") == 10
    assert detail.endswith(" ...")
