"""Where too few stores have work to tell an outage, the retries of each pause by themselves."""

from __future__ import annotations

import io
from collections.abc import Iterator

import pytest

from statemachine.flows import State
from tests.support.wide import DOWN, Wide, circuit_events
from worker.ledger.circuit import CIRCUIT


@pytest.fixture
def wide(redis_url: str) -> Iterator[Wide]:
    """Many stores."""
    wide = Wide(redis_url)
    yield wide
    wide.rig.close()


def test_each_of_a_few_stores_pauses_its_retries_ever_longer(wide: Wide, log: io.StringIO) -> None:
    """Too few have work to tell an outage; without a pause each refund runs into it by itself."""
    ids = wide.ask(stores=2, each=30)
    wide.rig.simulator.script(DOWN)
    wide.run_for_s(60)
    before = wide.calls()
    assert before < 2 * (30 + CIRCUIT["IN_A_ROW"])
    wide.run_for_s(240)
    assert wide.calls() - before <= 2 * 5 * CIRCUIT["PROBED"]
    assert circuit_events(log) == []
    for store in wide.ids[:2]:
        kept_ms = wide.rig.redis.pttl(wide.rig.key("unanswered", store))
        assert 0 < kept_ms <= CIRCUIT["CAP_MS"] + CIRCUIT["WINDOW_MS"]
    wide.rig.simulator.clear_faults()
    wide.run_for_s(CIRCUIT["CAP_MS"] // 1000 + 60)
    assert {wide.rig.load(refund_id).state for refund_id in ids} == {State.REFUNDED}


def test_a_few_failures_pause_nothing(wide: Wide) -> None:
    """Each refund is tried again after its own wait."""
    ids = wide.ask(stores=1, each=3)
    wide.rig.simulator.script(DOWN)
    wide.run_for_s(2)
    assert wide.calls() < CIRCUIT["IN_A_ROW"]
    assert [wide.rig.load(refund_id).attempts for refund_id in ids] == [3, 3, 3]


def test_calls_that_fail_while_retries_pause_make_the_pause_no_longer(wide: Wide) -> None:
    """They were under way when it began, or are first ones; what follows it says something new."""
    wide.ask(stores=1, each=3 * CIRCUIT["IN_A_ROW"])
    wide.rig.simulator.script(DOWN)
    wide.run_for_s(1)
    assert wide.calls() >= 3 * CIRCUIT["IN_A_ROW"]
    until_ms = int(wide.rig.redis.hget(wide.rig.key("unanswered", wide.ids[0]), "until_ms"))
    assert wide.time.now_ms < until_ms <= wide.time.now_ms + CIRCUIT["FIRST_MS"]


def test_a_pause_follows_a_few_failures_and_not_only_one(wide: Wide) -> None:
    """The first one to be tried may be a broken order, while Wix answers for all others again."""
    wide.ask(stores=1, each=3 * CIRCUIT["IN_A_ROW"])
    wide.rig.simulator.script(DOWN)
    wide.run_for_s(1)
    run = wide.rig.key("unanswered", wide.ids[0])
    before, first = wide.calls(), wide.rig.redis.hget(run, "until_ms")
    for _ in range(60):
        if wide.rig.redis.hget(run, "until_ms") == first:
            wide.run_for_s(1)
    assert wide.calls() - before == CIRCUIT["PROBED"]


def test_a_store_that_wix_does_not_answer_holds_up_no_other(wide: Wide) -> None:
    """Its site may be broken for itself."""
    failing = wide.ask(stores=1, each=20)
    wide.break_orders(failing)
    wide.run_for_s(60)
    others = wide.ask(stores=2)[1:]
    wide.run_for_s(5)
    assert {wide.rig.load(refund_id).state for refund_id in others} == {State.REFUNDED}


def test_its_broken_orders_hold_up_no_other_refund_of_a_store(wide: Wide) -> None:
    """They came first, and there are enough of them to fail ten times in a row at any time."""
    failing = wide.ask(stores=1, each=20)
    wide.break_orders(failing)
    wide.run_for_s(60)
    for _ in range(5):
        [other] = wide.ask(stores=1)
        wide.run_for_s(5)
        assert wide.rig.load(other).state is State.REFUNDED
        wide.run_for_s(55)


def test_what_is_tried_after_a_pause_is_not_always_the_same(wide: Wide) -> None:
    """Else a broken order would keep the others from finding out that Wix answers again."""
    ids = wide.ask(stores=1, each=CIRCUIT["IN_A_ROW"] + 1)
    wide.rig.simulator.script(DOWN)
    wide.run_for_s(120)
    before = {refund_id: wide.rig.load(refund_id).attempts for refund_id in ids}
    wide.run_for_s(600)
    tried = [
        refund_id for refund_id in ids if wide.rig.load(refund_id).attempts > before[refund_id]
    ]
    assert len(tried) > 2


def test_after_a_pause_the_refund_that_was_tried_least_comes_first(wide: Wide) -> None:
    """Else it waits for hours beside many orders for which Wix always fails."""
    ids = wide.ask(stores=1, each=CIRCUIT["IN_A_ROW"])
    wide.rig.simulator.script(DOWN)
    wide.run_for_s(30)
    redis, key = wide.rig.redis, wide.rig.key
    redis.hset(key("unanswered", wide.ids[0]), "until_ms", wide.time.now_ms + 60_000)
    for attempt, refund_id in enumerate(ids):
        redis.hset(key("refund", refund_id), "attempt", len(ids) - attempt)
        redis.zadd(key("due"), {refund_id: wide.time.now_ms}, xx=True)
    wide.run_for_s(1)
    # Those with nine attempts and more are drawn among themselves.
    assert redis.zrange(key("due"), 0, -1)[: len(ids) - 2] == ids[:1:-1]


def test_the_retries_of_thousands_are_not_woken_in_the_same_moment(wide: Wide) -> None:
    """Each tick wakes a number of refunds, and those of other stores are behind them."""
    ids = wide.ask(stores=1, each=CIRCUIT["IN_A_ROW"])
    wide.rig.simulator.script(DOWN)
    wide.run_for_s(30)
    redis, key = wide.rig.redis, wide.rig.key
    redis.zadd(key("failing_stores"), {wide.ids[0]: 10_000})
    redis.hset(key("unanswered", wide.ids[0]), "until_ms", wide.time.now_ms + 60_000)
    for refund_id in ids:
        redis.zadd(key("due"), {refund_id: wide.time.now_ms}, xx=True)
    wide.run_for_s(1)
    times = [at for _, at in redis.zrange(key("due"), 0, -1, withscores=True)]
    assert times[-1] - times[0] > 4 * CIRCUIT["FIRST_MS"]


def test_a_person_is_told_in_time_however_many_refunds_share_a_pause(wide: Wide) -> None:
    """Each makes one last try; twelve of each would take days where hundreds fail."""
    ids = wide.ask(stores=1, each=3 * CIRCUIT["IN_A_ROW"])
    wide.rig.simulator.script(DOWN)
    wide.run_for_s(60)
    long_ms = 86_400_000 + CIRCUIT["LATE_MS"]
    for refund_id in ids:
        wide.rig.redis.hincrby(wide.rig.key("refund", refund_id), "failing_since_ms", -long_ms)
    before = wide.calls()
    wide.run_for_s(2 * len(ids) * CIRCUIT["FIRST_MS"] // 1_000)
    assert {wide.rig.load(refund_id).state for refund_id in ids} == {State.DEAD}
    assert wide.calls() - before == len(ids)
    assert wide.rig.load(ids[0]).reason["reason"] == "attempts_used_up"


def test_the_end_of_an_outage_is_no_last_try(wide: Wide) -> None:
    """However long it lasted, none of its refunds ends because of it."""
    ids = wide.ask(stores=1, each=3 * CIRCUIT["IN_A_ROW"])
    wide.rig.simulator.script(DOWN)
    wide.run_for_s(60)
    wide.rig.redis.hset(wide.rig.key("outage"), mapping={"since_ms": 1, "share": 256})
    long_ms = 86_400_000 + CIRCUIT["LATE_MS"]
    for refund_id in ids:
        wide.rig.redis.hincrby(wide.rig.key("refund", refund_id), "failing_since_ms", -long_ms)
    before = wide.calls()
    wide.time.run_for_ms(60_000)
    assert wide.calls() > before
    assert State.DEAD not in {wide.rig.load(refund_id).state for refund_id in ids}


def test_an_order_for_which_wix_fails_pauses_no_store(wide: Wide) -> None:
    """The store's other refunds are answered in between."""
    [failing] = wide.ask(stores=1)
    wide.break_orders([failing])
    for _ in range(20):
        wide.rig.redis.zadd(wide.rig.key("due"), {failing: wide.time.now_ms}, xx=True)
        wide.run_for_s(1)
        [other] = wide.ask(stores=1)
        wide.run_for_s(1)
        assert wide.rig.load(other).state is State.REFUNDED
    assert wide.rig.load(failing).attempts >= CIRCUIT["IN_A_ROW"]
    # The next failure is the first one again.
    wide.rig.redis.zadd(wide.rig.key("due"), {failing: wide.time.now_ms}, xx=True)
    wide.run_for_s(1)
    assert wide.rig.redis.hget(wide.rig.key("unanswered", wide.ids[0]), "failures") == "1"
