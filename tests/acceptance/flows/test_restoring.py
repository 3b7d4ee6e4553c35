"""Wix refuses the cancel for good after we unfulfilled the order: we undo that."""

from __future__ import annotations

import pytest

from statemachine.flows import State
from tests.support.rig import BEFORE, Rig, settings_for
from worker.simulator import Fault, Simulator
from worker.simulator.script.faults import Kind
from worker.simulator.world.orders import Order

TRACKING = [
    {"trackingNumber": "77", "shippingProvider": "ups"},
    {"trackingNumber": "78", "shippingProvider": "Post für Alle"},
]


def _shipped(rig: Rig) -> Order:
    """Place an order of two lines, shipped in two parcels."""
    lines = [{"price": "10.00", "quantity": 4}, {"price": "3.00", "quantity": 1}]
    parcels = [
        {"lineItems": [{"index": 0, "quantity": 2}], "trackingInfo": TRACKING[0]},
        {
            "lineItems": [{"index": 0, "quantity": 2}, {"index": 1}],
            "trackingInfo": TRACKING[1],
        },
    ]
    return rig.order(BEFORE, lines=lines, fulfillments=parcels)


def _refuse_cancel(rig: Rig) -> None:
    rig.simulator.script(
        Fault("status", "cancel_order", status=428, code="NOT_TODAY", times=1_000_000)
    )


def _lines_and_tracking(order: Order) -> list[tuple[str, str]]:
    return sorted(
        (f["trackingInfo"]["trackingNumber"], str(f["lineItems"])) for f in order.fulfillments
    )


@pytest.mark.parametrize("lost", [None, "lost_reply", "drop", "drop_after", "garbage", "empty"])
def test_the_fulfillments_that_we_removed_are_recreated(rig: Rig, lost: Kind | None) -> None:
    """Lines and tracking as before, each once, whatever happens to a reply; a person is asked."""
    order = _shipped(rig)
    before = _lines_and_tracking(order)
    _refuse_cancel(rig)
    if lost:
        rig.simulator.script(Fault(lost, "create_fulfillment"))
    refund = rig.run(order)
    assert (refund.state, refund.reason["reason"]) == (State.DEAD, "refused_by_wix")
    assert refund.reason["wix_code"] == "NOT_TODAY"
    assert "2 of 2 removed fulfillments are restored" in refund.reason["detail"]
    assert _lines_and_tracking(order) == before
    assert order.cancellations == 0


@pytest.mark.parametrize(
    ("times", "state", "missing"),
    [
        (1, "partly unfulfilled", "77 (NOT_TODAY_EITHER)"),
        (2, "unfulfilled", "77 (NOT_TODAY_EITHER), 78 (NOT_TODAY_EITHER)"),
    ],
)
def test_a_letter_says_that_the_order_is_left_unfulfilled(
    rig: Rig, times: int, state: str, missing: str
) -> None:
    """If Wix refuses to recreate a fulfillment, it says which one, and what to click."""
    order = _shipped(rig)
    _refuse_cancel(rig)
    code = "NOT_TODAY_EITHER"
    rig.simulator.script(Fault("status", "create_fulfillment", status=428, code=code, times=times))
    refund = rig.run(order)
    detail = refund.reason["detail"]
    assert f"{2 - times} of 2 removed fulfillments are restored" in detail
    assert f"the order is left {state}; " in detail
    assert detail.endswith(f"tracking numbers: {missing}")
    assert "Mark as Fulfilled" in refund.reason["remedy"]
    assert len(refund.facts.restored) == 2 - times
    assert len(order.fulfillments) == 2 - times


def test_a_replay_after_restoring_unfulfills_and_cancels(rig: Rig) -> None:
    """Once the cause is gone the order is cancelled, and nothing stays fulfilled."""
    order = _shipped(rig)
    _refuse_cancel(rig)
    refund = rig.run(order)
    rig.simulator.clear_faults()
    assert rig.replay(refund.refund_id, operator="ann")
    rig.run_until_idle()
    assert rig.load(refund.refund_id).state is State.CANCELLED
    assert order.fulfillments == []
    assert order.cancellations == 1


def test_what_the_merchant_removed_is_not_restored(rig: Rig) -> None:
    """Only what we did ourselves is undone."""
    order = _shipped(rig)
    refund_id = rig.request(order)
    rig.simulator.script(Fault("status", "get_order", status=503))
    rig._one("refunds")
    rig._one("steps")
    rig.let_an_hour_pass()
    rig._one("steps")
    assert rig.load(refund_id).state is State.FULFILLED
    rig.simulator.merchant_unfulfills(order.id)
    _refuse_cancel(rig)
    rig.run_until_idle()
    assert rig.load(refund_id).state is State.DEAD
    assert order.fulfillments == []
    assert order.effects == []


def test_one_refused_fulfillment_does_not_stop_the_others(rig: Rig) -> None:
    """The dead letter says how many were restored, and why the others were refused."""
    order = _shipped(rig)
    _refuse_cancel(rig)
    code = "TRACKING_NUMBER_ALREADY_EXISTS"
    rig.simulator.script(Fault("status", "create_fulfillment", status=409, code=code))
    refund = rig.run(order)
    assert "1 of 2" in refund.reason["detail"]
    assert code in refund.reason["detail"]
    assert len(order.fulfillments) == 1


def test_restoring_can_be_switched_off(redis_url: str, simulator: Simulator) -> None:
    """REFUNDS_RESTORE_FULFILLMENTS=false: the order stays unfulfilled."""
    rig = Rig(settings_for(redis_url, restore_fulfillments="false"), simulator)
    order = _shipped(rig)
    _refuse_cancel(rig)
    refund = rig.run(order)
    assert refund.state is State.DEAD
    assert order.fulfillments == []
    rig.close()


def test_every_fulfillment_is_saved_completely_before_it_is_deleted(rig: Rig) -> None:
    """Including unknown fields, in the record that `refunds show` prints."""
    order = _shipped(rig)
    order.fulfillments[0]["customInfo"] = {"fieldsData": {"gate": "7"}}
    refund = rig.run(order)
    assert refund.state is State.CANCELLED
    saved = refund.public()["facts"]["fulfillments"]
    assert [f["trackingInfo"]["trackingNumber"] for f in saved] == ["77", "78"]
    assert saved[0]["customInfo"] == {"fieldsData": {"gate": "7"}}


def test_a_masked_tracking_link_is_left_out_and_reported(rig: Rig) -> None:
    """We do not store a secret in a tracking link, and a broken link is worse than none."""
    link = "https://t.example/track?t=eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.abc"
    tracking = {"trackingNumber": "77", "shippingProvider": "Post", "trackingLink": link}
    parcels = [{"lineItems": [{"index": 0}], "trackingInfo": tracking}]
    lines = [{"price": "10.00", "quantity": 1}]
    order = rig.order(BEFORE, lines=lines, fulfillments=parcels)
    _refuse_cancel(rig)
    refund = rig.run(order)
    assert "1 of 1 removed fulfillments are restored" in refund.reason["detail"]
    assert "without fields that we do not keep: trackingLink" in refund.reason["detail"]
    restored = order.fulfillments[0]["trackingInfo"]
    assert (restored["trackingNumber"], "trackingLink" in restored) == ("77", False)


def test_what_a_killed_step_removed_is_restored_too(redis_url: str) -> None:
    """The step is killed after the deletion, and Wix still shows the order as fulfilled."""
    clock = [1_800_000_000_000]
    rig = Rig(settings_for(redis_url), Simulator(clock_ms=lambda: clock[0]))
    order = rig.order(BEFORE, fulfillments=1)
    _refuse_cancel(rig)
    rig.simulator.set_flags(unfulfill_lag_ms=300)
    refund_id = rig.request(order)
    for queue in ("refunds", "steps"):
        rig._one(queue)  # accepted, assessed: the fulfillments are saved
    assert rig.load(refund_id).facts.fulfillments
    rig.at = {"after_call": _killed}
    with pytest.raises(_Killed):
        rig._one("steps")
    assert order.fulfillments == []
    rig.at = {}
    rig.broker.held["steps"].discard(*rig.broker.held["steps"].ids())
    rig._one("steps")  # the same message again: the order shows as fulfilled
    clock[0] += 1_000
    rig.let_an_hour_pass()
    rig.run_until_idle()
    assert rig.load(refund_id).state is State.DEAD
    assert len(order.fulfillments) == 1
    rig.close()


class _Killed(BaseException):
    """Raised in place of SIGKILL: nothing is committed."""


def _killed() -> None:
    raise _Killed


def test_an_empty_list_of_fulfillments_is_not_believed_at_once(rig: Rig) -> None:
    """A deletion was lost, then the list was stale: the fulfillment that reappears is deleted."""
    order = rig.order(BEFORE, fulfillments=1)
    rig.simulator.script(Fault("drop", "delete_fulfillment"))
    refund_id = rig.request(order)
    rig.run_queued()
    assert rig.load(refund_id).facts.unclear_sends == 1
    parcels = list(order.fulfillments)

    def hide() -> None:
        order.fulfillments, order.marked_fulfilled = [], True

    def show() -> None:
        order.fulfillments, order.marked_fulfilled = parcels, False

    rig.at = {"after_claim": hide, "after_call": show}
    rig.let_an_hour_pass()
    rig.run_one_step()
    assert rig.load(refund_id).facts.vanished == (parcels[0]["id"],)
    rig.at = {}
    rig.run_until_idle()
    assert rig.load(refund_id).state is State.CANCELLED
    assert order.fulfillments == []


def test_a_masked_tracking_number_does_not_hide_a_recreated_fulfillment(rig: Rig) -> None:
    """It was recreated without the number, and the reply was lost: its lines identify it."""
    tracking = {"trackingNumber": "eyJ0123456789ABCD", "shippingProvider": "ups"}
    parcels = [{"lineItems": [{"index": 0}], "trackingInfo": tracking}]
    order = rig.order(BEFORE, fulfillments=parcels)
    _refuse_cancel(rig)
    rig.simulator.script(Fault("drop_after", "create_fulfillment"))
    refund = rig.run(order)
    assert "1 of 1 removed fulfillments are restored" in refund.reason["detail"]
    assert len(order.fulfillments) == 1


@pytest.mark.parametrize("saved", [0, 1])
def test_a_fulfillment_is_in_the_record_before_it_is_deleted(rig: Rig, saved: int) -> None:
    """Even one that the merchant adds later: a step that is killed after the deletion knows it."""
    lines = [{"price": "10.00", "quantity": 2}]
    parcels = [{"lineItems": [{"index": 0, "quantity": 1}]}] * saved
    order = rig.order(BEFORE, lines=lines, fulfillments=parcels, marked_fulfilled=not saved)
    _refuse_cancel(rig)
    refund_id = rig.request(order)
    for queue in ("refunds", "steps"):
        rig._one(queue)  # accepted, assessed
    rig.simulator.merchant_fulfills(order.id, quantity=1)
    order.marked_fulfilled = False
    there = {fulfillment["id"] for fulfillment in order.fulfillments}

    def check() -> None:
        recorded = {fulfillment["id"] for fulfillment in rig.load(refund_id).facts.fulfillments}
        assert there - {fulfillment["id"] for fulfillment in order.fulfillments} <= recorded

    rig.at = {"after_call": check}
    for _ in range(3):
        rig.run_one_step()
        rig.make_due()
    rig.at = {}
    assert order.fulfillments == []
    rig.run_until_idle()
    assert len(order.fulfillments) == len(there)
