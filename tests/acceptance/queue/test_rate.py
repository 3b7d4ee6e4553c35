"""The operator can limit the rate of a store's calls to Wix; waiting is not an attempt."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from statemachine.flows import State
from tests.support.rig import AFTER, STORE_ID, Rig, settings_for
from worker.ledger.lanes import BURST_MS
from worker.simulator import Simulator

#: One call a minute on average: after the first step a store is far over its rate.
SLOW = "1"


@pytest.fixture
def slow(redis_url: str) -> Iterator[Rig]:
    """Return a worker that makes one call per minute for one store, on average."""
    rig = Rig(settings_for(redis_url, store_calls_per_min=SLOW), Simulator())
    yield rig
    rig.close()


def _let_time_pass(rig: Rig) -> None:
    """Pay off the calls made so far, as if time had passed."""
    rig.redis.delete(rig.key("rate", STORE_ID))
    rig.redis.zadd(rig.key("paced"), {STORE_ID: 1}, xx=True)
    rig.ledger.wake_due("rig", lead_ms=1)


def test_over_the_rate_refunds_wait_in_their_lane_in_order(slow: Rig) -> None:
    """After the first step's calls, no refund of the store starts until they are paid off."""
    ids = [slow.request(slow.order(AFTER), f"rf-{n}") for n in range(6)]
    slow.run_queued()
    calls = len(slow.simulator.calls)
    assert 0 < calls <= slow.settings.lane_width
    lane = slow.redis.zrange(slow.key("lane", STORE_ID), 0, -1)
    assert lane == ids
    assert slow.redis.zcard(slow.key("busy", STORE_ID)) == 0
    assert slow.problems() == []
    assert slow.run_queued() == 0
    attempts = sum(slow.load(refund_id).attempts for refund_id in ids)
    assert attempts == calls  # one attempt for each step that ran, none for waiting


def test_the_lane_continues_when_the_calls_are_paid_off(slow: Rig) -> None:
    """The scheduler starts it, and every refund reaches its end."""
    ids = [slow.request(slow.order(AFTER)) for _ in range(3)]
    for _ in range(40):
        slow.run_queued()
        slow.let_an_hour_pass()
        _let_time_pass(slow)
    assert {slow.load(refund_id).state for refund_id in ids} == {State.REFUNDED}
    assert slow.simulator.books()["refunds_per_order"] != {}


def test_the_time_at_which_the_lane_continues_is_exact(slow: Rig) -> None:
    """A call costs a minute, and calls may run ahead of the rate by five seconds."""
    slow.request(slow.order(AFTER))
    slow.run_queued()
    [(store, goes_on_ms)] = slow.redis.zrange(slow.key("paced"), 0, -1, withscores=True)
    paid_ms = int(slow.redis.get(slow.key("rate", STORE_ID)))
    assert (store, int(goes_on_ms)) == (STORE_ID, paid_ms - BURST_MS)


def test_without_a_rate_nothing_is_counted(rig: Rig) -> None:
    """By default a 429 is retried, and no call is held back."""
    rig.run(rig.order(AFTER))
    assert not rig.redis.exists(rig.key("rate", STORE_ID), rig.key("paced"))
