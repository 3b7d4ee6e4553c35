"""A store makes no more calls to Wix than its rate allows; waiting is not an attempt."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from statemachine.flows import State
from tests.support.rig import AFTER, BEFORE, STORE_ID, Rig, settings_for
from tests.support.virtual_time import VirtualTime
from worker.flows.actions import ACTIONS
from worker.ledger.rate import BURST_MS, EXPECTED_CALLS, per_call_ms
from worker.simulator import Fault, Simulator

#: One call a minute on average: after the first step a store is far over its rate.
SLOW = "1"
MINUTE_MS = 60_000
#: Calls that Wix allows within a minute. W7.
LIMIT = 200
#: For how long a store with a long lane is watched.
MINUTES = 7


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


def _paid_ms(rig: Rig) -> float:
    return float(rig.redis.get(rig.key("rate", STORE_ID)) or 0)


def test_over_the_rate_refunds_wait_in_their_lane_in_order(slow: Rig) -> None:
    """After the first step's calls, no refund of the store starts until they are paid off."""
    ids = [slow.request(slow.order(AFTER), f"rf-{n}") for n in range(6)]
    slow.run_queued()
    assert len(slow.simulator.calls) == 1
    lane = slow.redis.zrange(slow.key("lane", STORE_ID), 0, -1)
    assert lane == ids
    assert slow.redis.zcard(slow.key("busy", STORE_ID)) == 0
    assert slow.problems() == []
    assert slow.run_queued() == 0
    # One attempt for the step that ran, none for waiting.
    assert sum(slow.load(refund_id).attempts for refund_id in ids) == 1


def test_the_lane_continues_when_the_calls_are_paid_off(slow: Rig) -> None:
    """The scheduler starts it, and every refund reaches its end."""
    ids = [slow.request(slow.order(AFTER)) for _ in range(3)]
    for _ in range(40):
        slow.run_queued()
        slow.let_an_hour_pass()
        _let_time_pass(slow)
    assert {slow.load(refund_id).state for refund_id in ids} == {State.REFUNDED}
    assert slow.simulator.books()["refunds_per_order"] != {}


@pytest.mark.parametrize("facts", ["", "x", '{"fulfillments":null}', "null"])
def test_a_record_with_unreadable_facts_holds_up_no_other(slow: Rig, facts: str) -> None:
    """The calls of its step cannot be told from them, but the store's other refunds go on."""
    slow.may_have_bugs = True  # The step of the damaged one cannot read it either.
    damaged = slow.request(slow.order(BEFORE, fulfillments=1))
    slow.run_queued()
    assert slow.load(damaged).state is State.FULFILLED
    slow.redis.hset(slow.key("refund", damaged), "facts", facts)
    other = slow.request(slow.order(AFTER))
    for _ in range(20):
        slow.run_queued()
        slow.let_an_hour_pass()
        _let_time_pass(slow)
    assert slow.load(other).state is State.REFUNDED


def test_the_time_at_which_the_lane_continues_is_exact(slow: Rig) -> None:
    """A call costs a minute, and calls may run ahead of the rate by a second."""
    slow.request(slow.order(AFTER))
    slow.run_queued()
    [(store, goes_on_ms)] = slow.redis.zrange(slow.key("paced"), 0, -1, withscores=True)
    assert store == STORE_ID
    assert abs(goes_on_ms - (_paid_ms(slow) - BURST_MS)) <= 1


def test_a_store_whose_calls_are_just_paid_off_needs_no_help(slow: Rig) -> None:
    """Neither the audit nor the worker takes it for forgotten: the next tick lets it go on."""
    for _ in range(3):
        slow.request(slow.order(AFTER))
    slow.run_queued()
    slow.redis.delete(slow.key("rate", STORE_ID))
    assert slow.problems() == []


def test_each_transition_reserves_calls() -> None:
    """One without an entry could not be claimed."""
    assert set(EXPECTED_CALLS) == set(ACTIONS)


def test_calls_are_reserved_when_a_step_begins_and_given_back_when_it_made_fewer(
    redis_url: str,
) -> None:
    """Else all steps that run at the same time would count only when it is too late."""
    rig = Rig(settings_for(redis_url, store_calls_per_min="6"), Simulator())
    each_ms = per_call_ms(6)
    order = rig.order(AFTER, payments=[{"amount": "1.00"}])
    rig.request(order)
    seen: list[float] = []
    clock = rig.redis.time
    rig.at["after_claim"] = lambda: seen.append(_paid_ms(rig) - 1000 * clock()[0])
    rig.run_queued()
    assert len(seen) == 1  # the first call alone costs ten seconds
    rig.simulator.script(Fault("status", "list_transactions", status=503))
    before_ms = _paid_ms(rig)
    rig.redis.set(rig.key("rate", STORE_ID), 1)
    rig.redis.zadd(rig.key("paced"), {STORE_ID: 1})
    rig.ledger.wake_due("rig", lead_ms=1)
    rig.at["after_claim"] = lambda: seen.append(_paid_ms(rig))
    rig.run_queued()
    assert before_ms < seen[-1]
    assert _paid_ms(rig) == pytest.approx(seen[-1] - 2 * each_ms, abs=1)
    rig.close()


def test_a_lone_refund_is_not_slowed_down(redis_url: str) -> None:
    """By default a quiet store's refund makes its calls at once."""
    rig = Rig(settings_for(redis_url, store_calls_per_min="150"), Simulator())
    refund_id = rig.request(rig.order(AFTER))
    rig.run_queued()
    assert rig.load(refund_id).state is State.REFUND_SUBMITTED
    rig.close()


def test_without_a_rate_nothing_is_counted(rig: Rig) -> None:
    """Until Wix throttles the store."""
    rig.run(rig.order(AFTER))
    assert not rig.redis.exists(rig.key("rate", STORE_ID), rig.key("paced"))


@pytest.mark.parametrize("window", ["sliding", "fixed"])
def test_a_setting_that_is_wixs_limit_uses_it_without_a_single_429(
    redis_url: str, window: str
) -> None:
    """Seven minutes with a long lane, and with the watch on: at least 95 % of the limit is used."""
    settings = settings_for(
        redis_url,
        store_calls_per_min=str(LIMIT),
        watch_first_ms=str(MINUTE_MS),
        watch_for_s="240",
    )
    rig = Rig(settings, Simulator())
    time = VirtualTime(rig)
    rig.simulator.set_flags(quota_per_min=LIMIT, quota_window=window)
    rig.at["after_call"] = lambda: time.pass_ms(40)
    for _ in range(LIMIT * MINUTES // 4 + 20):
        rig.request(rig.order(AFTER, payments=[{"amount": "1.00"}]))
    time.run_for_ms(MINUTES * MINUTE_MS)
    statuses = [call["status"] for call in rig.simulator.calls]
    assert statuses.count(429) == 0
    assert len(statuses) >= 0.95 * MINUTES * LIMIT
    endpoints = {call["endpoint"] for call in rig.simulator.calls}
    assert "list_transactions_of_orders" in endpoints
    rig.close()


@pytest.mark.parametrize("parcels", [4, 9])
def test_steps_of_many_calls_stay_within_wixs_limit(redis_url: str, parcels: int) -> None:
    """An order has as many deletions as fulfillments; they are reserved before the first one."""
    rig = Rig(settings_for(redis_url, store_calls_per_min=str(LIMIT)), Simulator())
    time = VirtualTime(rig)
    rig.simulator.set_flags(quota_per_min=LIMIT)
    rig.at["after_call"] = lambda: time.pass_ms(40)
    lines = [{"price": "1.00"}] * parcels
    paid = [{"amount": f"{parcels}.00"}]
    for _ in range(3 * LIMIT // (5 + parcels) + 20):
        rig.request(rig.order(BEFORE, lines=lines, payments=paid, fulfillments=parcels))
    time.run_for_ms(3 * MINUTE_MS)
    statuses = [call["status"] for call in rig.simulator.calls]
    assert statuses.count(429) == 0
    assert len(statuses) >= (0.95 if parcels < 5 else 0.7) * 3 * LIMIT
    rig.close()


@pytest.mark.parametrize("window", ["sliding", "fixed"])
@pytest.mark.parametrize("limit", [5, 10, 20])
def test_a_small_limit_is_not_exceeded_either(redis_url: str, limit: int, window: str) -> None:
    """What runs ahead of the rate is a large part of it; refunds of several parcels are made."""
    rig = Rig(settings_for(redis_url, store_calls_per_min=str(limit)), Simulator())
    time = VirtualTime(rig, tick_ms=1_000)
    rig.simulator.set_flags(quota_per_min=limit, quota_window=window)
    for number in range(4):
        rig.request(rig.order(AFTER))
        parcels = 1 + 2 * (number % 2)
        lines = [{"price": "1.00"}] * parcels
        paid = [{"amount": f"{parcels}.00"}]
        rig.request(rig.order(BEFORE, lines=lines, payments=paid, fulfillments=parcels))
    time.run_for_ms(240 // limit * MINUTE_MS)
    statuses = [call["status"] for call in rig.simulator.calls]
    assert statuses.count(429) == 0
    assert not rig.redis.exists(rig.key("lane", STORE_ID), rig.key("busy", STORE_ID))
    rig.close()
