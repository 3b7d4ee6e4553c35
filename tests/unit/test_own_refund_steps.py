"""Whether a refund that Wix lists is ours."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from tests.support.flow_step import NOW_MS, refund_of, step_on, wix_at
from tests.support.rig import AFTER, STORE_ID
from worker.flows import own_refunds
from worker.refund.facts import Facts, ManualAmount
from worker.simulator import Simulator
from worker.simulator.world.orders import Order
from worker.wix.billing import WixRefund


@pytest.fixture
def simulator() -> Simulator:
    """Return a Wix with a fixed time."""
    return wix_at()


def _order(simulator: Simulator, **more: Any) -> Order:
    return simulator.add_order(STORE_ID, **({"created_date": AFTER} | more))


PAID = ManualAmount(amount="15.00", already_returned="5.00")


def _wix_refund(at_ms: int, amount: str = "10.00", reason: str = "") -> WixRefund:
    created = datetime.fromtimestamp(at_ms / 1000, UTC).isoformat()
    part = {"paymentId": "p", "amount": {"amount": amount}, "refundStatus": "SUCCEEDED"}
    return WixRefund.model_validate(
        {"id": "w", "createdDate": created, "transactions": [part], "details": {"reason": reason}}
    )


ACCEPTED_MS = NOW_MS - 60_000


@pytest.mark.parametrize(
    ("at_ms", "amount", "facts", "replayed_at_ms", "may_be"),
    [
        (NOW_MS, "10.00", Facts(), 0, True),
        (ACCEPTED_MS - own_refunds.CLOCKS_MS, "10.00", Facts(), 0, True),
        (ACCEPTED_MS - own_refunds.CLOCKS_MS - 1, "10.00", Facts(), 0, False),
        (NOW_MS, "9.99", Facts(), 0, False),
        (NOW_MS, "10.01", Facts(), 0, False),
        (NOW_MS, "9.99", Facts(manual_paid={"p": PAID}), 0, True),
        (NOW_MS, "9.99", Facts(manual_asked={"p": PAID}), 0, True),
        (NOW_MS, "10.01", Facts(manual_paid={"p": PAID}), 0, False),
        (NOW_MS, "10.00", Facts(refunds_before=("w",)), 0, False),
        (NOW_MS, "10.00", Facts(refunds_before=("v",)), 0, True),
        (NOW_MS - 2, "10.00", Facts(asked_a_person=True), NOW_MS - 1, False),
        (NOW_MS - 1, "10.00", Facts(asked_a_person=True), NOW_MS - 1, True),
        (NOW_MS - 2, "10.00", Facts(), NOW_MS - 1, True),
    ],
)
def test_a_refund_without_our_fingerprint_may_be_ours(
    simulator: Simulator,
    at_ms: int,
    amount: str,
    facts: Facts,
    replayed_at_ms: int,
    may_be: bool,
) -> None:
    """If it is new, fits our 10.00, and is younger than the job and than a person's answer."""
    job = {"amount": "10.00", "currency": "USD", "replayed_at_ms": replayed_at_ms}
    step = step_on(simulator, _order(simulator), facts, **job)
    assert own_refunds.may_be_ours(step, _wix_refund(at_ms, amount)) is may_be


@pytest.mark.parametrize(
    ("job", "may_be"),
    [
        ({}, True),
        ({"shipping": "1.00", "currency": "USD"}, True),
        ({"shipping": "1.00", "amount": "10.00", "currency": "USD"}, True),
        ({"amount": "1.00", "currency": "USD"}, False),
    ],
)
def test_only_a_plain_amount_tells_that_another_sum_is_not_ours(
    simulator: Simulator, job: dict[str, Any], may_be: bool
) -> None:
    """Of a full refund, or of named parts, Wix calculates the sum."""
    step = step_on(simulator, _order(simulator), **job)
    assert own_refunds.may_be_ours(step, _wix_refund(NOW_MS, "7.00")) is may_be


def test_a_refund_with_the_fingerprint_of_another_of_our_refunds_is_not_ours(
    simulator: Simulator,
) -> None:
    """Two jobs of one order do not take each other's refund for their own."""
    order = _order(simulator)
    other = refund_of(order, refund_id="rf-other")
    found = _wix_refund(NOW_MS, reason=other.customer_reason)
    assert not own_refunds.may_be_ours(step_on(simulator, order), found)
    mine = _wix_refund(NOW_MS, reason=refund_of(order).customer_reason)
    assert own_refunds.may_be_ours(step_on(simulator, order), mine)
