"""Money guards: calls that are repeated, and what the server forgot, count when money moves."""

from __future__ import annotations

import pytest

from statemachine.flows import State
from tests.support.guards import HOUR_MS, counted, guarded, pass_time, run_refund, state_of
from tests.support.rig import AFTER, BEFORE
from worker.simulator import Fault


def test_a_call_that_is_repeated_long_after_counts_when_it_moves_money(redis_url: str) -> None:
    """It is not asked again, but after an outage of hours the next one sees it."""
    with guarded(redis_url, store_hour="1 refund") as rig:
        rig.simulator.script(Fault("status", "submit_refund", status=504))
        first = rig.request(rig.order(AFTER))
        rig.run_queued()
        pass_time(rig, 3 * HOUR_MS)
        rig.run_until_idle()
        assert state_of(rig, first) == "refunded"
        assert state_of(rig, run_refund(rig)) == "refundable store_hour"


def test_letters_that_a_person_cleared_are_asked_again(redis_url: str) -> None:
    """A person says that the call had no effect, so it has not been allowed for this hour."""
    with guarded(redis_url, store_hour="1 refund") as rig:
        letters = []
        for _ in range(2):
            rig.simulator.script(Fault("status", "submit_refund", status=504))
            order = rig.order(AFTER)
            letters.append(rig.request(order, amount="10.00", currency="USD"))
            rig.run_queued()
            rig.simulator.merchant_refunds(order.id, "***", amount="10.00")
            rig.run_until_idle()
            assert rig.load(letters[-1]).reason["reason"] == "outcome_unknown"
            pass_time(rig, 2 * HOUR_MS)
        for refund_id in letters:
            rig.replay(refund_id, operator="ann", not_done=True)
        rig.run_until_idle()
        found = [state_of(rig, refund_id) for refund_id in letters]
        assert sorted(found) == ["refundable store_hour", "refunded"]


@pytest.mark.parametrize(("is_lost", "count"), [(True, 2), (False, 1)])
def test_a_cancellation_that_the_server_forgot_whole_is_counted(
    redis_url: str, *, is_lost: bool, count: int
) -> None:
    """The order is found cancelled by the first step, as if the merchant had done it."""
    with guarded(redis_url, store_day="2 refunds") as rig:
        run_refund(rig, "1.00")
        order = rig.order(BEFORE)
        refund_id = rig.request(order)
        rig._one("refunds")
        if is_lost:
            rig.redis.hset(rig.key("clock"), "run_id", "another")
        rig.simulator.merchant_cancels(order.id)
        rig.run_until_idle()
        assert rig.load(refund_id).state is State.CANCELLED
        assert counted(rig)[0] == count


@pytest.mark.parametrize("created", [BEFORE, AFTER])
def test_what_the_server_forgot_to_count_is_counted_when_it_is_found(
    redis_url: str, created: str
) -> None:
    """Intent and count were in its last second, but the call took effect."""
    with guarded(redis_url, store_day="2 refunds") as rig:
        run_refund(rig, "1.00")
        order = rig.order(created, fulfillments=1)
        refund_id = rig.request(order)
        rig.run_one_step()
        rig.redis.hset(rig.key("clock"), "run_id", "another")
        if created == AFTER:
            mark = f"(ref {rig.load(refund_id).fingerprint})"
            rig.simulator.merchant_refunds(order.id, mark)
        else:
            order.fulfillments.clear()
        rig.run_queued()
        rig.redis.hincrby(rig.key("clock"), "doubt_ms", -rig.settings.settle_delay_ms)
        rig.run_until_idle()
        assert rig.load(refund_id).state in {State.REFUNDED, State.CANCELLED}
        assert counted(rig)[0] == 2
        assert state_of(rig, run_refund(rig)) == "refundable store_day"
