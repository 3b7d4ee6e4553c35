"""Orders placed before the cutoff, from the job to the records of the simulated Wix."""

from __future__ import annotations

import pytest

from statemachine.flows import State
from tests.support.rig import BEFORE, Rig, settings_for
from worker.simulator import Fault, Simulator
from worker.simulator.script.faults import Kind


def test_an_unfulfilled_order_is_cancelled_once(rig: Rig) -> None:
    """An unfulfilled order placed before the cutoff is cancelled, and nothing else changes."""
    order = rig.order(BEFORE)
    refund = rig.run(order)
    assert refund.state is State.CANCELLED
    assert rig.simulator.books()["calls_per_order"][order.id] == {
        "get_order": 2,
        "get_order_refundability": 1,
        "list_transactions": 1,
        "cancel_order": 1,
    }
    assert order.cancellations == 1
    assert order.refunds == []


def test_a_fulfilled_order_is_unfulfilled_then_cancelled(rig: Rig) -> None:
    """All fulfillments are saved first, then deleted, and only then is the order cancelled."""
    order = rig.order(BEFORE, fulfillments=2)
    saved = [fulfillment["id"] for fulfillment in order.fulfillments]
    refund = rig.run(order)
    assert refund.state is State.CANCELLED
    assert order.fulfillments == []
    assert order.cancellations == 1
    assert [f["id"] for f in refund.facts.fulfillments] == saved
    history = rig.ledger.history(refund.refund_id)
    states = [line["to_state"] for line in history if line["event"] == "step.done"]
    assert states == ["fulfilled", "unfulfilled", "cancelled"]


@pytest.mark.parametrize("kind", ["lost_reply", "drop_after", "garbage", "empty"])
def test_a_cancel_whose_reply_is_lost_is_found_and_not_repeated(rig: Rig, kind: Kind) -> None:
    """However the reply is lost, Wix receives one cancel."""
    order = rig.order(BEFORE)
    rig.simulator.script(Fault(kind, "cancel_order"))
    refund = rig.run(order)
    assert refund.state is State.CANCELLED
    assert order.cancellations == 1
    last = rig.ledger.history(refund.refund_id)[-1]
    assert last["found"] is True


def test_a_cancel_that_may_still_take_effect_is_waited_for(rig: Rig) -> None:
    """After an unknown effect, "not cancelled" is not believed at once."""
    order = rig.order(BEFORE)
    rig.simulator.script(Fault("status", "cancel_order", status=503))
    refund_id = rig.request(order)
    rig.run_queued()
    rig.redis.zadd(rig.key("due"), {refund_id: 1})
    rig.ledger.wake_due("rig", lead_ms=1)
    rig.run_queued()
    line = rig.ledger.history(refund_id)[-1]
    assert line["event"] == "step.waiting"
    assert 0 < line["in_ms"] <= rig.settings.settle_delay_ms
    assert rig.simulator.books()["calls_per_order"][order.id]["cancel_order"] == 1
    rig.run_until_idle()
    assert order.cancellations == 1


def test_an_order_that_the_merchant_cancelled_is_finished(rig: Rig) -> None:
    """No call of ours changes anything."""
    order = rig.order(BEFORE)
    rig.simulator.merchant_cancels(order.id)
    refund = rig.run(order)
    assert refund.state is State.CANCELLED
    assert order.cancellations == 0
    assert rig.ledger.history(refund.refund_id)[-1]["by_merchant"] is True


def test_an_order_fulfilled_again_between_our_steps_is_unfulfilled_again(rig: Rig) -> None:
    """A fulfilled order is never cancelled before it is unfulfilled."""
    order = rig.order(BEFORE)
    refund_id = rig.request(order)
    rig.simulator.script(Fault("status", "cancel_order", status=503))
    rig.run_queued()
    rig.simulator.merchant_fulfills(order.id)
    rig.run_until_idle()
    assert rig.load(refund_id).state is State.CANCELLED
    assert order.fulfillments == []
    assert order.cancellations == 1


def test_an_order_fulfilled_without_fulfillments_is_cancelled_anyway(rig: Rig) -> None:
    """Nothing can be removed, but Wix may still cancel the order."""
    order = rig.order(BEFORE, marked_fulfilled=True)
    refund = rig.run(order)
    assert refund.state is State.CANCELLED
    assert order.cancellations == 1


def test_an_order_fulfilled_without_fulfillments_that_wix_refuses_to_cancel_needs_a_person(
    rig: Rig,
) -> None:
    """The dead letter says what to click; a replay after that continues."""
    rig.simulator.set_flags(cancel_fulfilled="428")
    order = rig.order(BEFORE, marked_fulfilled=True)
    refund = rig.run(order)
    assert (refund.state, refund.reason["reason"]) == (State.DEAD, "cannot_unfulfill")
    assert "Mark as Unfulfilled" in refund.reason["remedy"]
    assert order.cancellations == 0
    order.marked_fulfilled = False
    assert rig.replay(refund.refund_id, operator="ann")
    rig.run_until_idle()
    assert order.cancellations == 1


def test_an_order_fulfilled_without_fulfillments_is_escalated_if_configured(
    redis_url: str, simulator: Simulator
) -> None:
    """The cancel is not tried: there is no mutating call."""
    rig = Rig(settings_for(redis_url, without_fulfillments="escalate"), simulator)
    order = rig.order(BEFORE, marked_fulfilled=True)
    refund = rig.run(order)
    assert (refund.state, refund.reason["reason"]) == (State.DEAD, "cannot_unfulfill")
    assert "cancel_order" not in rig.simulator.books()["calls_per_order"][order.id]
    rig.close()


@pytest.mark.parametrize("twice", ["ok", "428"])
@pytest.mark.parametrize("deleted", ["ok", "404"])
@pytest.mark.parametrize("fulfilled", ["ok", "428"])
def test_the_refund_ends_well_whatever_wix_does_in_unknown_cases(
    rig: Rig, twice: str, deleted: str, fulfilled: str
) -> None:
    """Each unknown of the cancellation flow, both ways, with a lost reply to each mutating call."""
    rig.simulator.set_flags(cancel_twice=twice, delete_twice=deleted, cancel_fulfilled=fulfilled)
    order = rig.order(BEFORE, fulfillments=2)
    rig.simulator.script(
        Fault("lost_reply", "delete_fulfillment", times=2), Fault("lost_reply", "cancel_order")
    )
    refund = rig.run(order)
    assert refund.state is State.CANCELLED
    assert order.cancellations == 1
    assert order.fulfillments == []


def test_a_lagging_fulfillment_status_is_waited_for(rig: Rig) -> None:
    """Wix may show FULFILLED for a while after the last deletion."""
    clock = [1_000_000]
    rig.simulator.clock_ms = lambda: clock[0]
    rig.simulator.set_flags(unfulfill_lag_ms=1_000)
    order = rig.order(BEFORE, fulfillments=1)
    refund_id = rig.request(order)
    rig.run_queued()
    assert rig.load(refund_id).state is State.UNFULFILLED
    assert order.cancellations == 0
    clock[0] += 2_000
    rig.run_until_idle()
    assert rig.load(refund_id).state is State.CANCELLED
    assert order.cancellations == 1


@pytest.mark.parametrize(
    ("change", "state", "reason"),
    [
        ({"status": "PENDING"}, State.REJECTED, "order_pending"),
        ({"status": "REJECTED"}, State.REJECTED, "order_rejected"),
    ],
)
def test_an_order_that_cannot_be_cancelled_is_rejected(
    rig: Rig, change: dict[str, str], state: State, reason: str
) -> None:
    """Wix's rules give a final answer for upstream."""
    refund = rig.run(rig.order(BEFORE, **change))
    assert (refund.state, refund.reason["reason"]) == (state, reason)


def test_a_partial_refund_of_such_an_order_is_rejected(rig: Rig) -> None:
    """The order can only be cancelled as a whole."""
    order = rig.order(BEFORE)
    refund = rig.run(order, amount="1.00", currency="USD")
    assert refund.reason["reason"] == "partial_needs_standard_refund"
    assert order.cancellations == 0


def test_every_step_reads_what_the_previous_one_wrote(rig: Rig) -> None:
    """Wix's consistency token is passed from step to step, so that no step acts on a stale read."""
    rig.simulator.set_flags(stale_ms=3_600_000, consistent_token=True)
    order = rig.order(BEFORE, fulfillments=2)
    refund = rig.run(order)
    assert refund.state is State.CANCELLED
    assert refund.attempts == 3
    assert order.cancellations == 1


def test_stale_reads_without_a_token_are_waited_out(rig: Rig) -> None:
    """Wix may return no token: a fulfillment that we deleted and still see is stale, not new."""
    clock = [1_000_000]
    rig.simulator.clock_ms = lambda: clock[0]
    rig.simulator.set_flags(stale_ms=5_000)
    order = rig.order(BEFORE, fulfillments=2)
    refund_id = rig.request(order)
    for _ in range(4):
        rig.run_queued()
        rig.let_an_hour_pass()
    clock[0] += 5_000
    rig.run_until_idle()
    assert rig.load(refund_id).state is State.CANCELLED
    assert order.cancellations == 1
    assert rig.simulator.books()["calls_per_order"][order.id]["delete_fulfillment"] == 2


def test_a_replay_resets_the_counters(rig: Rig) -> None:
    """The order looked fulfilled too often; after the replay the count starts at zero."""
    rig.simulator.set_flags(cancel_fulfilled="428")
    order = rig.order(BEFORE, marked_fulfilled=True)
    refund = rig.run(order)
    assert refund.reason["reason"] == "cannot_unfulfill"
    order.marked_fulfilled = False
    assert rig.replay(refund.refund_id, operator="ann")
    rig.run_until_idle()
    assert rig.load(refund.refund_id).state is State.CANCELLED
    assert rig.load(refund.refund_id).facts.looks == 0


def test_a_fulfillment_still_listed_after_a_404_is_deleted_again(rig: Rig) -> None:
    """The 404 was wrong."""
    order = rig.order(BEFORE, fulfillments=1)
    rig.simulator.script(Fault("status", "delete_fulfillment", status=404))
    assert rig.run(order).state is State.CANCELLED
    assert order.fulfillments == []
