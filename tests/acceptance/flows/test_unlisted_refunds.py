"""Refunds that Wix does not list yet, before and after a call with an unknown effect."""

from __future__ import annotations

import pytest

from statemachine.flows import State
from tests.support.rig import AFTER, Rig
from worker.simulator import Fault
from worker.simulator.world.orders import Order


def _moved(order: Order) -> list[str]:
    parts = [part for refund in order.refunds for part in refund["transactions"]]
    return [part["amount"]["amount"] for part in parts]


def _unclear(rig: Rig, order: Order, **asked: str) -> str:
    """Send a refund that Wix carries out, and lose the reply."""
    rig.simulator.script(Fault("drop_after", "submit_refund"))
    refund_id = rig.request(order, **asked)
    rig.run_queued()
    return refund_id


def _hide(order: Order, number: int) -> None:
    """Let Wix count a refund without listing it."""
    order.refunds[number]["_created_ms"] = 10**15


def _unclear_and_hidden(rig: Rig, order: Order, amount: str) -> str:
    """Let Wix carry out our call, lose the reply, and not list the refund."""
    refund_id = _unclear(rig, order, amount=amount, currency="USD")
    # The first step saves what is unlisted; the second one calls.
    rig.let_an_hour_pass()
    rig.run_queued()
    rig.simulator.provider_says(order.id, "SUCCEEDED")
    _hide(order, 1)
    return refund_id


def _refunded_before(rig: Rig) -> Order:
    """Place an order of which the merchant has refunded 20.00, which Wix does not list."""
    order = rig.order(AFTER, payments=[{"amount": "100.00"}])
    rig.simulator.merchant_refunds(order.id, "dashboard", "20.00")
    rig.simulator.provider_says(order.id, "SUCCEEDED")
    _hide(order, 0)
    return order


@pytest.mark.parametrize("job", [{}, {"amount": "10.00", "currency": "USD"}])
def test_what_was_unlisted_before_our_call_is_not_ours(rig: Rig, job: dict[str, str]) -> None:
    """One 503 on the refund call is then an ordinary failure, which is tried again."""
    order = _refunded_before(rig)
    rig.simulator.script(Fault("status", "submit_refund", status=503))
    refund = rig.run(order, **job)
    assert refund.state is State.REFUNDED
    assert _moved(order) == ["20.00", job.get("amount", "80.00")]


def test_what_is_unlisted_since_our_call_may_still_be_ours(rig: Rig) -> None:
    """Wix carried out our 10.00 and lists neither refund: nothing is sent again."""
    order = _refunded_before(rig)
    refund_id = _unclear_and_hidden(rig, order, "10.00")
    rig.run_until_idle()
    assert rig.load(refund_id).reason["reason"] == "outcome_unknown"
    assert _moved(order) == ["20.00", "10.00"]


def test_an_old_refund_that_is_listed_at_last_does_not_hide_ours(rig: Rig) -> None:
    """The merchant's 20.00 appears, and ours of 20.00 does not: nothing is sent again."""
    order = _refunded_before(rig)
    refund_id = _unclear_and_hidden(rig, order, "20.00")
    order.refunds[0]["_created_ms"] = 0
    rig.run_until_idle()
    assert rig.load(refund_id).reason["reason"] == "outcome_unknown"
    assert _moved(order) == ["20.00", "20.00"]
