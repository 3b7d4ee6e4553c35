"""A server that restarted may have forgotten a claim whose call is still on its way to Wix."""

from __future__ import annotations

import io
import json

import pytest

from statemachine.flows import State, Transition
from tests.support.rig import AFTER, BEFORE, Rig
from worker.simulator import Fault


def _restart(rig: Rig) -> None:
    """Make the ledger remember another server, as if this one had restarted."""
    assert rig.redis.hset(rig.key("clock"), "run_id", "another") == 0


def _ready(rig: Rig, created: str) -> str:
    """Return a refund whose next step changes something at Wix, on a known server."""
    rig.run(rig.order(AFTER))
    refund_id = rig.request(rig.order(created))
    rig._one("refunds")
    rig._one("steps")
    return refund_id


@pytest.mark.parametrize("created", [BEFORE, AFTER])
def test_nothing_is_changed_at_wix_until_the_forgotten_call_can_no_longer_arrive(
    rig: Rig, created: str, log: io.StringIO
) -> None:
    """The claim looks like a first one, so only time can tell that no call is under way."""
    refund_id = _ready(rig, created)
    asked = len(rig.simulator.calls)
    _restart(rig)
    rig.run_queued()
    changing = {"cancel_order", "submit_refund"}
    assert not changing & {call["endpoint"] for call in rig.simulator.calls[asked:]}
    refund = rig.load(refund_id)
    assert refund.due_at_ms > 0
    assert refund.attempt == 0
    assert "step.waiting" in [json.loads(x)["event"] for x in log.getvalue().splitlines()]


def _let_the_settle_delay_pass(rig: Rig) -> None:
    rig.redis.hincrby(rig.key("clock"), "doubt_ms", -rig.settings.settle_delay_ms)
    rig.run_until_idle()


def _notice_long_ago(rig: Rig) -> None:
    """Let a tick notice the restart, and the settle delay pass."""
    rig.redis.delete(rig.key("scheduler"))
    rig.ledger.wake_due("leader", lead_ms=1)
    rig.redis.hincrby(rig.key("clock"), "doubt_ms", -rig.settings.settle_delay_ms - 1_000)


def test_it_goes_on_after_the_settle_delay(rig: Rig) -> None:
    """It looks, finds nothing, and sends the call."""
    refund_id = _ready(rig, AFTER)
    _restart(rig)
    rig.run_queued()
    _let_the_settle_delay_pass(rig)
    assert rig.load(refund_id).state is State.REFUNDED
    assert rig.load(refund_id).facts.unclear_sends == 0


def test_a_forgotten_call_that_arrived_is_found(rig: Rig) -> None:
    """The refund is visible by then, with our fingerprint."""
    refund_id = _ready(rig, AFTER)
    order = next(o for o in rig.simulator.orders.values() if not o.refunds)
    _restart(rig)
    rig.run_queued()
    rig.simulator.merchant_refunds(order.id, f"(ref {rig.load(refund_id).fingerprint})")
    _let_the_settle_delay_pass(rig)
    assert rig.load(refund_id).state is State.REFUNDED
    assert len(order.refunds) == 1


@pytest.mark.parametrize("is_noticed_late", [False, True])
def test_a_forgotten_call_whose_fingerprint_wix_changed_is_not_repeated(
    rig: Rig, *, is_noticed_late: bool
) -> None:
    """A refund that fits may be the effect of the forgotten call, however long ago that was."""
    rig.run(rig.order(AFTER))
    order = rig.order(AFTER)
    refund_id = rig.request(order, amount="10.00", currency="USD")
    rig._one("refunds")
    rig._one("steps")
    _restart(rig)
    if is_noticed_late:
        _notice_long_ago(rig)
        past_ms = rig.settings.settle_delay_ms + 2_000
        rig.redis.hincrby(rig.key("refund", refund_id), "committed_at_ms", -past_ms)
    rig.simulator.merchant_refunds(order.id, "***", amount="10.00")
    rig.run_queued()
    _let_the_settle_delay_pass(rig)
    refund = rig.load(refund_id)
    assert (refund.state, refund.reason["reason"]) == (State.DEAD, "outcome_unknown")
    assert len(order.refunds) == 1


def test_a_refund_that_was_committed_since_is_not_in_doubt(rig: Rig) -> None:
    """What the server forgot earlier does not matter for it."""
    rig.run(rig.order(AFTER))
    _restart(rig)
    _notice_long_ago(rig)
    order = rig.order(AFTER)
    refund_id = rig.request(order, amount="10.00", currency="USD")
    rig.simulator.merchant_refunds(order.id, "***", amount="10.00")
    rig.run_until_idle()
    assert rig.load(refund_id).state is State.REFUNDED


def test_fulfillments_that_a_forgotten_call_deleted_are_restored(rig: Rig) -> None:
    """Nobody can know who deleted them, so they count as deleted by the worker."""
    rig.run(rig.order(AFTER))
    rig.simulator.script(Fault("status", "cancel_order", status=428, code="NO", times=100))
    order = rig.order(BEFORE, fulfillments=1)
    refund_id = rig.request(order)
    rig._one("refunds")
    rig._one("steps")
    _restart(rig)
    rig.simulator.merchant_unfulfills(order.id)
    rig.run_queued()
    _let_the_settle_delay_pass(rig)
    assert rig.load(refund_id).state is State.DEAD
    assert len(order.fulfillments) == 1


def test_steps_that_only_read_go_on(rig: Rig) -> None:
    """They cannot double anything."""
    rig.run(rig.order(AFTER))
    refund_id = rig.request(rig.order(AFTER))
    rig._one("refunds")
    _restart(rig)
    claim = rig.ledger.claim(refund_id, Transition.ASSESS_ORDER, rig.delivery())
    assert claim.status == "claimed"


def test_the_first_refund_of_a_ledger_waits_as_well(rig: Rig) -> None:
    """Every tick of the scheduler remembers the server, so no claim has to come first."""
    rig.ledger.wake_due("leader", lead_ms=1)
    refund_id = rig.request(rig.order(AFTER))
    rig._one("refunds")
    rig._one("steps")
    _restart(rig)
    rig.run_queued()
    assert rig.load(refund_id).state is State.REFUNDABLE
    assert rig.load(refund_id).due_at_ms > 0


def test_a_new_installation_does_not_wait(rig: Rig) -> None:
    """Its server cannot have forgotten anything."""
    assert rig.run(rig.order(AFTER)).state is State.REFUNDED
