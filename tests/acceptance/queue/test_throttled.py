"""Wix throttles a store: it pauses, and its rate is halved and grows back."""

from __future__ import annotations

import io

import pytest

from tests.support.rig import AFTER, STORE_ID, Rig, settings_for
from tests.support.virtual_time import VirtualTime
from worker.ledger.rate import BURST_MS, THROTTLED
from worker.simulator import Fault, Simulator

MINUTE_MS = 60_000


@pytest.mark.parametrize("limit", [0, 600])
def test_a_429_stops_the_whole_store_and_halves_its_rate(
    redis_url: str, log: io.StringIO, limit: int
) -> None:
    """Else the lane runs the next refund into it."""
    rig = Rig(settings_for(redis_url, store_calls_per_min=str(limit)), Simulator())
    time = VirtualTime(rig)
    rig.simulator.script(Fault("status", "get_order", status=429))
    for _ in range(4):
        rig.request(rig.order(AFTER))
    time.run_for_ms(int(THROTTLED["FIRST_MS"]) - 1_000)
    assert len(rig.simulator.calls) == 1
    assert log.getvalue().count('"store.throttled"') == 1
    share = float(rig.redis.hget(rig.key("throttled", STORE_ID), "share"))
    assert share == 0.5
    assert _calls_in(rig, time, 2_000) >= 1
    rig.close()


def _calls_in(rig: Rig, time: VirtualTime, ms: int) -> int:
    """Return how many calls are made while this time passes."""
    before = len(rig.simulator.calls)
    time.run_for_ms(ms)
    return len(rig.simulator.calls) - before


@pytest.mark.parametrize("status", [429, 403])
def test_retry_after_is_obeyed_and_calls_under_way_are_not_counted_twice(
    redis_url: str, status: int
) -> None:
    """Four refunds of a store run into the limit at the same time: that is one event."""
    rig = Rig(settings_for(redis_url), Simulator())
    time = VirtualTime(rig)
    rig.simulator.set_flags(throttled_s=90)
    rig.simulator.script(Fault("status", "get_order", status=status, times=1, retry_after_s=90))
    rig.request(rig.order(AFTER))
    assert _calls_in(rig, time, 85_000) == 1
    rig.ledger.watched.throttled(STORE_ID, pause_ms=1_000)
    held = rig.redis.hgetall(rig.key("throttled", STORE_ID))
    assert (held["share"], held["pauses"]) == ("0.5", "1")
    assert _calls_in(rig, time, 10_000) >= 1
    rig.close()


def test_a_pause_stops_the_steps_that_would_be_handed_over(redis_url: str) -> None:
    """Another refund's call is refused while this one reads its order, whose next step is ready."""
    rig = Rig(settings_for(redis_url), Simulator())
    time = VirtualTime(rig)
    rig.broker.hands_over = True

    def throttle() -> None:
        del rig.at["after_call"]
        rig.ledger.watched.throttled(STORE_ID, pause_ms=700)

    rig.at["after_call"] = throttle
    rig.request(rig.order(AFTER))
    assert _calls_in(rig, time, 650) == 1
    assert _calls_in(rig, time, 10_000) > 1
    rig.close()


def test_pauses_grow_and_the_rate_recovers_slowly(redis_url: str) -> None:
    """Each 429 after a pause doubles the next one; after some minutes the rate is whole again."""
    rig = Rig(settings_for(redis_url, store_calls_per_min="60"), Simulator())
    time = VirtualTime(rig)
    rig.simulator.set_flags(quota_per_min=1)
    for _ in range(150):
        rig.request(rig.order(AFTER))
    time.run_for_ms(3 * MINUTE_MS)
    refused = [call for call in rig.simulator.calls if call["status"] == 429]
    held = rig.redis.hgetall(rig.key("throttled", STORE_ID))
    assert int(held["pauses"]) == len(refused) <= 5
    assert float(held["share"]) < 0.5
    rig.simulator.set_flags(quota_per_min=0)
    time.run_for_ms(3 * MINUTE_MS)  # the last pause ends
    first = _calls_in(rig, time, MINUTE_MS)
    time.run_for_ms(4 * MINUTE_MS)
    assert 6 < first < _calls_in(rig, time, MINUTE_MS) <= 60
    rig.close()


def test_after_a_calm_minute_pauses_begin_anew(rig: Rig) -> None:
    """A store whose limit is below the setting is throttled again each time its rate has grown."""
    time = VirtualTime(rig)
    first_ms = int(THROTTLED["FIRST_MS"])
    for calm_ms, pauses in [(0, 1), (MINUTE_MS // 2, 2), (MINUTE_MS, 1)]:
        time.pass_ms(calm_ms)
        rig.ledger.watched.throttled(STORE_ID, pause_ms=0)
        held = rig.redis.hgetall(rig.key("throttled", STORE_ID))
        assert int(held["pauses"]) == pauses
        assert int(held["from_ms"]) - time.now_ms == pytest.approx(pauses * first_ms, abs=10)
        time.pass_ms(pauses * first_ms)


def test_a_limit_far_below_the_setting_is_used_all_the_same(redis_url: str) -> None:
    """Wix does not say how long to wait; were the pauses to grow for ever, little would be done."""
    rig = Rig(settings_for(redis_url, store_calls_per_min="150"), Simulator())
    time = VirtualTime(rig, tick_ms=500)
    rig.simulator.set_flags(quota_per_min=60)
    for _ in range(400):
        rig.request(rig.order(AFTER, payments=[{"amount": "1.00"}]))
    time.run_for_ms(10 * MINUTE_MS)
    answered = _answered_in(rig, time, 10 * MINUTE_MS)
    assert answered >= 10 * 60 / 2
    assert len([call for call in rig.simulator.calls if call["status"] == 429]) <= 20
    rig.close()


def _answered_in(rig: Rig, time: VirtualTime, ms: int) -> int:
    """Return how many calls Wix answers, and does not refuse, while this time passes."""
    before = len(rig.simulator.calls)
    time.run_for_ms(ms)
    return len([call for call in rig.simulator.calls[before:] if call["status"] == 200])


def test_calls_that_are_given_back_do_not_shorten_a_pause(redis_url: str) -> None:
    """They were reserved before Wix throttled the store, by a step that ends meanwhile."""
    rig = Rig(settings_for(redis_url, store_calls_per_min="150"), Simulator())
    rig.request(rig.order(AFTER))
    rig.run_one_step()
    rig.simulator.script(Fault("status", "list_transactions", status=503))
    rig.at["after_claim"] = lambda: rig.ledger.watched.throttled(STORE_ID, pause_ms=10_000)
    rig.run_one_step()
    pause_ends_ms = float(rig.redis.hget(rig.key("throttled", STORE_ID), "from_ms"))
    paid_ms = float(rig.redis.get(rig.key("rate", STORE_ID)))
    assert paid_ms >= pause_ends_ms + BURST_MS
    rig.close()


def test_the_share_is_forgotten_when_it_has_grown_back(rig: Rig) -> None:
    """A store that was throttled once leaves nothing behind."""
    rig.ledger.watched.throttled(STORE_ID, pause_ms=0)
    left_ms = rig.redis.pttl(rig.key("throttled", STORE_ID))
    assert 0 < left_ms <= THROTTLED["FIRST_MS"] + THROTTLED["RECOVER_MS"] / 2
