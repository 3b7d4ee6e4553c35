"""After a failover everything waits for the settle delay, until the workers have vouched."""

from __future__ import annotations

import io

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
    wait_ms,
)
from tests.support.rig import Rig
from worker.app import membership_from
from worker.ledger.lanes import LaneRules
from worker.ledger.refunds import Ledger
from worker.queue.own_calls import MOST_FORGOTTEN_S, OwnCalls


@pytest.fixture(autouse=True)
def _ticked(rig: Rig) -> None:
    """The rig's worker has vouched in a ledger that has ticked."""
    tick(rig)
    rig.broker.beat()


def _full_hold(rig: Rig, refund_id: str) -> bool:
    """Whether the refund waits for the settle delay, although this worker has vouched."""
    rig.broker.beat()
    let_pass(rig, GRACE_MS)
    rig.run_queued()
    return changes(rig) == 0 and wait_ms(rig, refund_id) > rig.settings.settle_delay_ms - 10_000


def test_a_worker_that_has_died_cannot_vouch(rig: Rig) -> None:
    """So is one of an older version: everything waits for the settle delay, asked ever rarer."""
    rig.redis.zadd(rig.key("workers"), {"dead": int(rig.redis.hget(rig.key("clock"), "last_ms"))})
    refund_id = ready(rig)
    fail_over(rig)
    rig.broker.beat()
    passed_ms, looks = 0, 0
    while passed_ms < rig.settings.settle_delay_ms:
        rig.run_queued()
        assert changes(rig) == 0
        waits_ms = wait_ms(rig, refund_id)
        let_pass(rig, waits_ms)
        passed_ms, looks = passed_ms + waits_ms, looks + 1
    assert looks < 15
    rig.run_until_idle()
    assert rig.load(refund_id).state is State.REFUNDED


def test_a_worker_that_left_in_the_meantime_cannot_vouch(rig: Rig) -> None:
    """The new server may have learnt of its end before it was found to be another one."""
    now_ms = int(rig.redis.hget(rig.key("clock"), "last_ms"))
    rig.redis.zadd(rig.key("left"), {"left": now_ms + 1, "left long ago": now_ms - 1_000})
    ready(rig)
    fail_over(rig)
    rig.broker.beat()
    assert rig.redis.zrange(rig.key("unvouched"), 0, -1) == ["left"]


@pytest.mark.parametrize("follows_failover", [False, True])
def test_an_adopted_ledger_waits_in_full(rig: Rig, follows_failover: bool) -> None:
    """What the ledger before it knew, nobody can name, even if another doubt is as old."""
    refund_id = ready(rig)
    if follows_failover:
        fail_over(rig)
        # The clock stands still, or the same millisecond is not over.
        rig.redis.hincrby(rig.key("clock"), "offset_ms", -3_600_000)
    membership_from(rig.settings, rig.broker.client)._install("new", adopt=True)
    if follows_failover:
        rig.redis.hincrby(rig.key("clock"), "offset_ms", 3_600_000)
    assert _full_hold(rig, refund_id)


def test_a_doubt_of_which_nobody_was_asked_outlives_a_failover(rig: Rig) -> None:
    """The workers that vouch after the failover know nothing of what was lost before."""
    refund_id = ready(rig)
    rig.redis.hset(rig.key("clock"), "doubt_ms", rig.redis.hget(rig.key("clock"), "last_ms"))
    fail_over(rig)
    assert _full_hold(rig, refund_id)


def test_a_server_that_read_its_data_from_a_disk_waits_in_full(rig: Rig) -> None:
    """A worker may have come and gone in what it forgot; or the data are a backup."""
    refund_id = ready(rig)
    rig.redis.hincrby(rig.key("clock"), "last_ms", -3_600_000)
    fail_over(rig)
    assert _full_hold(rig, refund_id)


@pytest.mark.parametrize(("late_ms", "was_read_from_disk"), [(0, False), (-1, True)])
def test_the_age_of_a_server_is_known_to_a_second(
    rig: Rig, late_ms: int, was_read_from_disk: bool
) -> None:
    """It may have started at the end of the second that it names; what ticked after that ran on."""
    replica(rig, "another")()
    info = rig.redis.info("server")
    started_s = info["server_time_usec"] // 1_000_000 - info["uptime_in_seconds"]
    ticked_ms = 1_000 * (started_s + 1) + late_ms
    rig.redis.hset(rig.key("clock"), mapping={"last_ms": ticked_ms, "offset_ms": 0})
    rig.redis.delete(rig.key("scheduler"))
    rig.ledger.wake_due("leader", lead_ms=1)
    assert (rig.redis.zscore(rig.key("unvouched"), "*") is not None) is was_read_from_disk


def test_a_ledger_that_knows_no_worker_waits_in_full(rig: Rig) -> None:
    """Such as a backup of a time at which none ran."""
    refund_id = ready(rig)
    rig.redis.delete(rig.key("workers"))
    fail_over(rig)
    assert _full_hold(rig, refund_id)


def test_a_worker_of_which_too_much_is_forgotten_does_not_vouch(rig: Rig, log: io.StringIO) -> None:
    """Others may have come and gone in that time, of which the ledger knows nothing."""
    clock = [0.0]
    calls = OwnCalls(lambda: clock[0])
    rig.broker.own_calls = calls
    rig.broker.vouch = rig.ledger.intents.vouch_for(calls, rig.broker.broker_id).turn
    refund_id = ready(rig)
    rig.broker.beat()
    take_over = replica(rig, "another")
    for _ in range(4):
        clock[0] += MOST_FORGOTTEN_S
        rig.broker.beat()
    take_over()
    let_pass(rig, 1)
    assert _full_hold(rig, refund_id)
    assert '"worker.cannot_vouch"' in log.getvalue()


def test_a_program_that_does_not_vouch_is_held_back_in_full(rig: Rig) -> None:
    """Nobody could name the calls that it makes now, after the next failover."""
    fail_over(rig)
    rig.broker.beat()
    let_pass(rig, GRACE_MS)
    lanes = LaneRules(4)
    other = Ledger(
        rig.broker.client,
        namespace=rig.settings.namespace,
        lanes=lanes,
        worker_dead_after_ms=10_000,
        settle_delay_ms=rig.settings.settle_delay_ms,
    )
    claim = rig.ledger.claim(ready(rig), Transition.SUBMIT_REFUND, rig.delivery())
    assert claim.refund is not None
    intent = other.write_intent(claim, claim.refund, rig.delivery())
    assert intent.status == "held_back"
    assert intent.wait_ms > rig.settings.settle_delay_ms - 10_000
    assert rig.ledger.write_intent(claim, claim.refund, rig.delivery()).status == "written"


def test_a_server_whose_clock_was_set_back_waits_in_full(rig: Rig) -> None:
    """Whether it has read its data from a disk cannot be told: the last tick is in its future."""
    refund_id = ready(rig)
    rig.redis.hincrby(rig.key("clock"), "offset_ms", -3_600_000)
    replica(rig, "another")()
    rig.run_queued()
    rig.broker.beat()
    assert "*" in rig.redis.zrange(rig.key("unvouched"), 0, -1)
    assert _full_hold(rig, refund_id)
