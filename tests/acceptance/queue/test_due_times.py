"""Neither waiting refunds nor a long lane delay what is due. Figures: `make scale`."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from statemachine.flows import State
from tests.benchmarks.scale import OTHER_STORE, fill_due, fill_lane
from tests.support.rig import AFTER, KEY, STORE_ID, Rig, settings_for
from worker.scheduler.requeue import requeue_lost
from worker.simulator import Fault, Simulator


def test_what_is_due_now_is_woken_in_the_next_tick_however_many_wait(rig: Rig) -> None:
    """Pitfall 10: dramatiq's delay queue is first in, first out; ours is sorted by due time."""
    fill_due(rig.redis, rig.ledger.ns, 10_000)
    rig.simulator.script(Fault("status", "get_order", status=503))
    refund_id = rig.request(rig.order(AFTER))
    rig.run_queued()
    assert rig.redis.zscore(rig.key("due"), refund_id) is not None
    rig.redis.zadd(rig.key("due"), {refund_id: 1})
    assert rig.ledger.wake_due("rig", lead_ms=1)[:2] == (True, 1)
    rig.run_queued()
    assert rig.ledger.history(refund_id)[-1]["event"] != "step.retry"
    assert rig.redis.zcard(rig.key("due")) >= 10_000


def test_refunds_are_woken_in_order_of_their_due_times(rig: Rig) -> None:
    """One tick wakes at most 200 refunds, the longest overdue first."""
    fill_due(rig.redis, rig.ledger.ns, 300, in_ms=-60_000)
    rig.redis.zadd(rig.key("due"), {"w-7": 1})
    assert rig.ledger.wake_due("rig", lead_ms=1)[:2] == (True, 200)
    assert rig.redis.zscore(rig.key("due"), "w-7") is None
    assert rig.ledger.wake_due("rig", lead_ms=1)[:2] == (True, 100)


def test_an_emptied_queue_is_rebuilt_from_the_ledger(rig: Rig) -> None:
    """All keys of the queue of steps are deleted; every refund still reaches its end."""
    ids = [rig.request(rig.order(AFTER)) for _ in range(rig.settings.lane_width + 3)]
    for _ in ids:
        rig._one("refunds")
    for key in list(rig.redis.scan_iter(rig.key("steps*"))):
        rig.redis.delete(key)
    assert requeue_lost(rig.ledger) == rig.settings.lane_width
    rig.run_until_idle()
    assert {rig.load(refund_id).state for refund_id in ids} == {State.REFUNDED}


@pytest.fixture
def two_stores(redis_url: str) -> Iterator[Rig]:
    """Return a rig with two stores."""
    stores = {store: {"account_id": "a", "api_key": KEY} for store in (STORE_ID, OTHER_STORE)}
    rig = Rig(settings_for(redis_url, stores=json.dumps(stores)), Simulator())
    rig.simulator.add_store(OTHER_STORE, KEY)
    yield rig
    rig.redis.close()
    rig.broker.client.close()


def test_a_long_lane_delays_another_store_by_no_more_than_what_is_in_flight(
    two_stores: Rig,
) -> None:
    """Stores take turns: 2,000 waiting refunds of one store count as one full lane.

    Counted over all three steps of the other store's refund; each has its own message.
    """
    rig, width = two_stores, two_stores.settings.lane_width
    fill_lane(rig.ledger, STORE_ID, 2_000)
    order = rig.simulator.add_order(OTHER_STORE, created_date=AFTER)
    fill_lane(rig.ledger, OTHER_STORE, 1, order_id=order.id)
    steps = 0
    while rig.load(f"{OTHER_STORE}-0").state is not State.REFUNDED:
        rig._one("steps")
        steps += 1
    others = 3
    assert steps <= others * (width + 1)
    assert rig.ledger.count(State.REJECTED) <= others * width  # Wix does not know their orders
