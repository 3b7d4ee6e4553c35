"""A server that restarted may have forgotten a claim whose call is still on its way to Wix."""

from __future__ import annotations

import io
import json

import pytest

from statemachine.flows import State, Transition
from tests.support.rig import AFTER, BEFORE, Rig


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
    assert (refund.intent_at_ms, refund.attempt) == (0, 0)
    assert "step.held_back" in [json.loads(x)["event"] for x in log.getvalue().splitlines()]


def test_it_goes_on_after_the_settle_delay_and_is_not_in_doubt(rig: Rig) -> None:
    """It looks, finds nothing, and sends the call as the first one."""
    refund_id = _ready(rig, AFTER)
    _restart(rig)
    rig.run_queued()
    rig.redis.hincrby(rig.key("clock"), "doubt_ms", -rig.settings.settle_delay_ms)
    rig.run_until_idle()
    assert rig.load(refund_id).state is State.REFUNDED
    assert rig.load(refund_id).facts.unclear_sends == 0


def test_a_forgotten_call_that_arrived_is_found(rig: Rig) -> None:
    """The refund is visible by then, with our fingerprint."""
    refund_id = _ready(rig, AFTER)
    order = next(o for o in rig.simulator.orders.values() if not o.refunds)
    _restart(rig)
    rig.run_queued()
    rig.simulator.merchant_refunds(order.id, f"(ref {rig.load(refund_id).fingerprint})")
    rig.redis.hincrby(rig.key("clock"), "doubt_ms", -rig.settings.settle_delay_ms)
    rig.run_until_idle()
    assert rig.load(refund_id).state is State.REFUNDED
    assert len(order.refunds) == 1


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
