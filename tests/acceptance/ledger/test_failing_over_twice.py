"""A second failover within the settle delay of the first: what was doubted then still is."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from statemachine.flows import State, Transition
from tests.support.failovers import (
    GRACE_MS,
    changes,
    fail_over,
    let_pass,
    ready,
    replica,
    tick,
)
from tests.support.rig import STORE_ID, Rig


@pytest.fixture(autouse=True)
def _ticked(rig: Rig) -> None:
    """The rig's worker has vouched in a ledger that has ticked."""
    tick(rig)
    rig.broker.beat()


def _forget_call(rig: Rig) -> str:
    """Fail over while a call is under way whose intent is forgotten; return its refund."""
    refund_id = ready(rig)
    take_over = replica(rig, "another")
    claim = rig.ledger.claim(refund_id, Transition.SUBMIT_REFUND, rig.delivery())
    assert claim.refund is not None
    assert rig.ledger.write_intent(claim, claim.refund, rig.delivery()).status == "written"
    take_over()
    let_pass(rig, 1)
    return refund_id


def _fail_over_again(rig: Rig) -> None:
    """Let another replica take over that has everything, for which all workers vouch."""
    replica(rig, "a third")()
    let_pass(rig, 1)
    rig.broker.beat()
    let_pass(rig, GRACE_MS)


def _named(rig: Rig) -> None:
    """The worker itself names the call."""
    rig.broker.beat()
    let_pass(rig, GRACE_MS)


def _died(rig: Rig) -> None:
    """Nobody can name the call: everything waits."""
    rig.redis.zadd(rig.key("unvouched"), {"*": int(rig.redis.hget(rig.key("clock"), "doubt_ms"))})
    rig.broker.beat()
    # The rig's worker made the call in the place of the dead one, and names it as well.
    rig.redis.delete(rig.key("doubted"))
    let_pass(rig, GRACE_MS)


@pytest.mark.parametrize("doubted", [_named, _died])
@pytest.mark.parametrize("is_claimed_between", [True, False])
def test_a_call_of_the_first_one_is_looked_for(
    rig: Rig, doubted: Callable[[Rig], None], is_claimed_between: bool
) -> None:
    """The vouching after the second one says nothing of it, and its wait is over before."""
    refund_id = _forget_call(rig)
    doubted(rig)
    if is_claimed_between:
        rig.run_queued()
    assert changes(rig) == 0
    settle_ms = rig.settings.settle_delay_ms
    let_pass(rig, settle_ms - 60_000)
    if is_claimed_between:
        rig.run_queued()
    _fail_over_again(rig)
    let_pass(rig, 70_000)
    claim = rig.ledger.claim(refund_id, Transition.SUBMIT_REFUND, rig.delivery())
    assert claim.refund is not None
    assert claim.refund.intent_at_ms > 0


def test_a_call_that_was_named_to_a_server_without_a_doubt_is_looked_for(rig: Rig) -> None:
    """An old primary came back with its own data after all."""
    refund_id = ready(rig)
    order = f"{STORE_ID}|{rig.load(refund_id).request.order_id}"
    calls = rig.broker.own_calls
    assert calls.made(order, calls.era)
    calls.heard(0, "another server's")
    rig.broker.beat()
    let_pass(rig, rig.settings.settle_delay_ms + 1_000)
    assert rig.redis.hget(rig.key("clock"), "doubt_ms") == "0"
    claim = rig.ledger.claim(refund_id, Transition.SUBMIT_REFUND, rig.delivery())
    assert claim.refund is not None
    assert claim.refund.intent_at_ms > 0


@pytest.mark.parametrize(("older_by_ms", "goes_on"), [(1, True), (-1, False)])
def test_a_worker_that_died_long_before_the_first_one_delays_nothing(
    rig: Rig, older_by_ms: int, goes_on: bool
) -> None:
    """What it forgot to name was over when the first failover came, unless that came too soon."""
    refund_id = ready(rig)
    fail_over(rig)
    doubt_ms = int(rig.redis.hget(rig.key("clock"), "doubt_ms"))
    died_ms = doubt_ms - rig.settings.settle_delay_ms - older_by_ms
    rig.redis.zadd(rig.key("unvouched"), {"dead": died_ms})
    rig.broker.beat()
    let_pass(rig, GRACE_MS)
    _fail_over_again(rig)
    rig.run_queued()
    assert rig.load(refund_id).state is (State.REFUNDED if goes_on else State.REFUNDABLE)


def test_what_such_a_worker_did_is_still_looked_for(rig: Rig) -> None:
    """The first failover noted its doubt, which the second one keeps."""
    refund_id = _forget_call(rig)
    _died(rig)
    let_pass(rig, rig.settings.settle_delay_ms + 1)
    for _ in range(2):
        _fail_over_again(rig)
    claim = rig.ledger.claim(refund_id, Transition.SUBMIT_REFUND, rig.delivery())
    assert claim.refund is not None
    assert claim.refund.intent_at_ms > 0
