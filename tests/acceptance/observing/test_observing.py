"""What merchants do themselves is told to upstream; what this worker did is not."""

from __future__ import annotations

import io

import pytest

from tests.support.merchants import look, switch_on, told, types
from tests.support.rig import AFTER, BEFORE, STORE_ID, Rig
from worker.ledger.observed import GIVE_UP_MS
from worker.refund.money import money
from worker.simulator import Fault

REFUND, CANCEL = "refund.observed", "order.cancelled_by_merchant"


def test_a_refund_in_the_dashboard_is_told_once(rig: Rig) -> None:
    """With the order, the amount and the payments; however often it is looked at."""
    order = rig.order(AFTER, payments=[{"amount": "20.00"}])
    switch_on(rig)
    refund = rig.simulator.merchant_refunds(order.id, amount="5.00")
    look(rig, 3)
    [event] = told(rig)
    assert (event["type"], event["subject"]) == (REFUND, order.id)
    assert event["id"] == f"{order.id}/{refund['id']}/observed"
    data = event["data"]
    assert (data["store_id"], data["order_id"]) == (STORE_ID, order.id)
    assert (data["order_number"], data["wix_refund_ids"]) == (order.number, [refund["id"]])
    assert data["amount"] == data["moved_by_wix"] == money("5.00", "USD")
    assert data["to_pay_back"] == money("0.00", "USD")
    assert (data["status"], data["payments"][0]["status"]) == ("completed", "SUCCEEDED")
    assert data["paid"][0]["amount"] == "20.00"
    assert data["happened_at"]
    assert "refund_id" not in data


def test_a_refund_that_wix_only_records_is_to_be_paid_back(rig: Rig) -> None:
    """The platform pays the shopper: Wix has moved nothing."""
    order = rig.order(AFTER, payments=[{"amount": "20.00"}])
    switch_on(rig)
    rig.simulator.merchant_refunds(order.id, external=True)
    look(rig)
    [event] = told(rig)
    assert event["data"]["to_pay_back"] == money("20.00", "USD")
    assert event["data"]["moved_by_wix"] == money("0.00", "USD")
    assert event["data"]["status"] == "external"


def test_a_cancelled_order_is_told_once_two_looks_have_seen_it(rig: Rig) -> None:
    """A refund that was made with it may be listed later, and changes what is to be paid back."""
    order = rig.order(AFTER, payments=[{"amount": "20.00"}])
    switch_on(rig)
    rig.simulator.merchant_cancels(order.id)
    look(rig)
    assert told(rig) == []
    rig.simulator.merchant_refunds(order.id, amount="5.00")
    look(rig, 3)
    cancel, refund = sorted(told(rig), key=lambda event: str(event["type"]))
    assert (refund["type"], cancel["type"]) == (REFUND, CANCEL)
    assert cancel["id"] == f"{order.id}/{order.id}/cancelled_by_merchant"
    assert cancel["data"]["to_pay_back"] == money("15.00", "USD")
    assert cancel["data"]["moved_by_wix"] == money("5.00", "USD")
    assert cancel["data"]["status"] == "external"


def test_what_this_worker_does_is_not_told_as_the_merchants(rig: Rig) -> None:
    """Refunds with our mark, and orders that our refund has cancelled."""
    switch_on(rig)
    rig.run(rig.order(AFTER))
    rig.run(rig.order(BEFORE))
    look(rig, 3)
    assert told(rig) == []


@pytest.mark.parametrize("flags", [{"fingerprint_kept": False}, {"reason_text": "masked"}])
def test_our_refund_is_ours_even_if_wix_drops_the_mark(rig: Rig, flags: dict[str, bool]) -> None:
    """Wix's answer to the call has named it."""
    rig.simulator.set_flags(**flags)
    switch_on(rig)
    rig.run(rig.order(AFTER))
    look(rig, 2)
    assert told(rig) == []


def test_what_is_ours_stays_ours_when_our_record_is_forgotten(rig: Rig) -> None:
    """That may be after a day; Wix shows the order again when the merchant changes it."""
    rig.simulator.set_flags(fingerprint_kept=False)
    switch_on(rig)
    refunds = [rig.run(rig.order(created)) for created in (AFTER, BEFORE)]
    look(rig)
    for refund in refunds:
        order_id = refund.request.order_id
        rig.redis.delete(rig.key("order", STORE_ID, order_id))
        rig.simulator.merchant_archives(order_id)
    look(rig, 2)
    assert told(rig) == []


def test_a_refund_that_may_be_ours_is_not_told_before_that_is_known(rig: Rig) -> None:
    """The reply to our call was lost, and Wix drops the mark: the platform would pay twice."""
    rig.simulator.set_flags(fingerprint_kept=False)
    order = rig.order(AFTER)
    switch_on(rig)
    rig.simulator.script(Fault("lost_reply", "submit_refund"))
    rig.request(order)
    rig.run_queued()
    assert len(order.refunds) == 1
    look(rig, 2)
    assert told(rig) == []
    rig.run_until_idle()
    look(rig, 2)
    assert told(rig) == []


def test_an_order_that_our_refund_is_to_cancel_waits_for_its_end(rig: Rig) -> None:
    """It ends as `already_cancelled`, which says the same: upstream must not pay back twice."""
    order = rig.order(BEFORE)
    switch_on(rig)
    rig.request(order)
    rig.run_one_step()
    rig.simulator.merchant_cancels(order.id)
    look(rig, 2)
    rig.run_until_idle()
    look(rig, 2)
    assert told(rig) == []
    assert rig.redis.zcard(rig.key("observe_again", STORE_ID)) == 0


def test_a_cancel_after_our_refund_was_rejected_is_the_merchants(rig: Rig) -> None:
    """Our refund has an end that says nothing about it."""
    order = rig.order(BEFORE, status="PENDING")
    switch_on(rig)
    rig.run(order)
    order.status = "APPROVED"
    rig.simulator.merchant_cancels(order.id)
    look(rig, 2)
    assert types(rig) == [CANCEL]


def test_a_refund_is_told_when_it_is_settled(rig: Rig) -> None:
    """One that the provider refuses is not; one that is open for days is told as it is."""
    settled, refused, is_open = (rig.order(AFTER, payments=[{"amount": "9.00"}]) for _ in range(3))
    rig.simulator.set_flags(provider_ms=10**9)
    switch_on(rig)
    for order in (settled, refused, is_open):
        rig.simulator.merchant_refunds(order.id)
    look(rig)
    assert told(rig) == []
    rig.simulator.provider_says(settled.id, "SUCCEEDED")
    rig.simulator.provider_says(refused.id, "FAILED")
    look(rig)
    assert [event["subject"] for event in told(rig)] == [settled.id]
    rig.redis.zincrby(rig.key("observe_again", STORE_ID), -GIVE_UP_MS, is_open.id)
    look(rig)
    event = told(rig)[-1]
    assert (event["subject"], event["data"]["status"]) == (is_open.id, "processing")
    look(rig)
    assert len(told(rig)) == 2


def test_what_stays_unclear_is_given_up_with_a_warning(rig: Rig, log: io.StringIO) -> None:
    """A dead letter with an unknown effect may last for months."""
    order = rig.order(BEFORE)
    rig.simulator.script(Fault("status", "cancel_order", status=418))
    rig.run(order)
    switch_on(rig)
    rig.simulator.merchant_cancels(order.id)
    look(rig)
    rig.redis.zincrby(rig.key("observe_again", STORE_ID), -GIVE_UP_MS, order.id)
    look(rig)
    assert '"event": "order.not_clear"' in log.getvalue()
    assert told(rig) == []


def test_nothing_from_before_the_switch_is_told(rig: Rig) -> None:
    """Neither refunds nor cancels, although the order is among those that have changed."""
    refunded, cancelled = rig.order(AFTER), rig.order(AFTER)
    rig.simulator.merchant_refunds(refunded.id)
    rig.simulator.merchant_cancels(cancelled.id)
    for order in (refunded, cancelled):
        order.refunds = [r | {"createdDate": "2025-02-01T00:00:00.000Z"} for r in order.refunds]
    cancelled.canceled_date = "2025-02-01T00:00:00.000Z"
    switch_on(rig)
    look(rig, 2)
    assert told(rig) == []
