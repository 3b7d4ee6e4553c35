"""Waits are measured by a clock of the ledger that never steps, whatever the server's does.

The scripts only ever see the server's time plus an offset, so a step of the server's clock is
staged by changing the offset behind the ledger's back.
"""

from __future__ import annotations

import io
import json
import time

import pytest

from statemachine.flows import State, Transition
from tests.support.rig import AFTER, Rig
from tests.support.scheduling import scheduler_of
from worker.ledger.lanes import LaneRules
from worker.ledger.refunds import Ledger
from worker.scheduler.scheduler import Scheduler
from worker.simulator import Fault

HOUR_MS = 3_600_000


class Monotonic:
    """This worker's monotonic clock, which the test moves ahead."""

    def __init__(self) -> None:
        self.moved_s = 0.0

    def __call__(self) -> float:
        return time.monotonic() + self.moved_s


@pytest.fixture
def monotonic() -> Monotonic:
    """A clock that is right until the test moves it."""
    return Monotonic()


@pytest.fixture
def scheduler(rig: Rig, monotonic: Monotonic) -> Scheduler:
    """The leader, which has ticked once."""
    scheduler = scheduler_of(rig, monotonic)
    scheduler.wake()
    return scheduler


def _step(rig: Rig, by_ms: int) -> None:
    """Let the server's clock step."""
    rig.redis.hincrby(rig.key("clock"), "offset_ms", by_ms)


def _now_ms(rig: Rig) -> int:
    """Return the ledger's time, from a claim of an unknown refund."""
    return rig.ledger.claim("nobody", Transition.ASSESS_ORDER, rig.delivery()).now_ms


def _ahead_ms(rig: Rig) -> int:
    """Return how far the ledger's time is ahead of this machine's monotonic clock.

    It stays the same however long a test takes.
    """
    return _now_ms(rig) - round(time.monotonic() * 1000)


@pytest.mark.parametrize("by_ms", [HOUR_MS, -HOUR_MS, 60_000, -60_000])
def test_a_step_of_the_servers_clock_is_noticed_and_logged(
    rig: Rig, scheduler: Scheduler, log: io.StringIO, by_ms: int
) -> None:
    """The ledger's time continues as if nothing had happened."""
    before_ms = _ahead_ms(rig)
    _step(rig, by_ms)
    assert abs(_ahead_ms(rig) - before_ms) <= 5_100
    scheduler.wake()
    assert abs(_ahead_ms(rig) - before_ms) <= 1_000
    [line] = [json.loads(x) for x in log.getvalue().splitlines() if "clock_stepped" in x]
    assert line["event"] == "worker.clock_stepped"
    assert abs(line["by_ms"] - by_ms) <= 1_000


@pytest.mark.parametrize("by_ms", [HOUR_MS, 60_000])
def test_an_unclear_refund_is_not_sent_again_because_the_clock_stepped_ahead(
    rig: Rig, scheduler: Scheduler, by_ms: int
) -> None:
    """The settle delay is real time."""
    order = rig.order(AFTER, payments=[{"amount": "100.00"}])
    rig.simulator.script(Fault("drop", "submit_refund"))
    refund_id = rig.request(order, amount="10.00", currency="USD")
    rig.run_queued()
    asked = len(rig.simulator.calls)
    _step(rig, by_ms)
    for _ in range(3):
        scheduler.wake()
        rig.run_queued()
    sent = [call["endpoint"] for call in rig.simulator.calls[asked:]]
    assert "submit_refund" not in sent
    assert rig.load(refund_id).state is State.REFUNDABLE


def test_what_is_due_does_not_stand_still_because_the_clock_stepped_back(
    rig: Rig, scheduler: Scheduler
) -> None:
    """A retry that is due in half a second is due then, not in an hour."""
    rig.simulator.script(Fault("status", "get_order", status=503))
    refund_id = rig.request(rig.order(AFTER))
    rig.run_queued()
    _step(rig, -HOUR_MS)
    scheduler.wake()
    # It may have been due, and woken, already.
    due_ms = rig.redis.zscore(rig.key("due"), refund_id) or 0
    assert due_ms - _now_ms(rig) <= 1_000


def test_a_dead_worker_does_not_live_on_because_the_clock_stepped_back(
    rig: Rig, scheduler: Scheduler, monotonic: Monotonic
) -> None:
    """Its messages are reclaimed after the time that really passed."""
    rig.request(rig.order(AFTER))
    dead = Rig(rig.settings, rig.simulator)
    dead.broker.beat()
    dead.broker.command("fetch", "refunds", wanted=10, known=[])
    _step(rig, -HOUR_MS)
    scheduler.wake()
    monotonic.moved_s += 60
    _step(rig, 60_000)
    scheduler.wake()
    rig.broker.beat()
    assert rig.broker.reclaim(10_000) == [dead.broker.broker_id]
    dead.close()


def test_time_that_really_passed_counts(
    rig: Rig, scheduler: Scheduler, monotonic: Monotonic
) -> None:
    """The leader was frozen for ten minutes, so the ledger's time is ten minutes later."""
    before_ms = _ahead_ms(rig)
    monotonic.moved_s += 600
    _step(rig, 600_000)
    scheduler.wake()
    assert abs(_ahead_ms(rig) - before_ms - 600_000) <= 1_000


@pytest.mark.parametrize("by_ms", [HOUR_MS, 60_000, -60_000])
def test_a_step_is_noticed_by_the_next_leader_on_the_same_machine(
    rig: Rig, monotonic: Monotonic, by_ms: int
) -> None:
    """Both read the time since the machine booted, so no time without a leader is unknown."""
    scheduler_of(rig, monotonic).wake()
    before_ms = _ahead_ms(rig)
    rig.redis.delete(rig.key("scheduler"))
    _step(rig, by_ms)
    monotonic.moved_s += 7
    scheduler_of(rig, monotonic).wake()
    assert abs(_ahead_ms(rig) - before_ms - 7_000) <= 1_000


def test_another_worker_leads_soon_although_the_clock_stepped_back_when_the_leader_died(
    rig: Rig,
) -> None:
    """The dead leader's key expires by the server's clock: without a remedy, in an hour."""
    rig.ledger.wake_due("dead", lead_ms=5_000)
    rig.redis.pexpire(rig.key("scheduler"), HOUR_MS)
    assert not rig.ledger.wake_due("alive", lead_ms=5_000).leads
    assert 0 < rig.redis.pttl(rig.key("scheduler")) <= 5_000


def test_another_machine_takes_the_servers_time_if_its_own_clock_agrees(rig: Rig) -> None:
    """All workers were down, and the first one to return cannot know for how long."""
    rig.ledger.wake_due("a", lead_ms=5_000, boot_id="one", boot_ms=1)
    before_ms = _ahead_ms(rig)
    rig.redis.delete(rig.key("scheduler"))
    rig.redis.hincrby(rig.key("clock"), "last_ms", -HOUR_MS)
    rig.ledger.wake_due("b", lead_ms=5_000, boot_id="two", boot_ms=1)
    assert abs(_ahead_ms(rig) - before_ms) <= 1_000


def test_another_machine_whose_clock_does_not_agree_stops_the_time(rig: Rig) -> None:
    """One of the two clocks is wrong: due refunds are late, and nothing is too early."""
    began_s = time.monotonic()
    rig.ledger.wake_due("a", lead_ms=5_000, boot_id="one", boot_ms=1)
    ticked_ms = int(rig.redis.hget(rig.key("clock"), "last_ms"))
    rig.redis.delete(rig.key("scheduler"))
    wrong_s = time.time() - HOUR_MS / 1000
    wrong = Ledger(
        rig.redis,
        namespace=rig.settings.namespace,
        lanes=LaneRules(1, 0),
        worker_dead_after_ms=1_000,
        wall=lambda: wrong_s,
    )
    _step(rig, 60_000)
    wrong.wake_due("b", lead_ms=5_000, boot_id="two", boot_ms=1)
    passed_ms = _now_ms(rig) - ticked_ms
    assert 0 <= passed_ms <= 1_000 * (time.monotonic() - began_s) + 1


def test_a_tick_that_is_repeated_is_no_step(
    rig: Rig, scheduler: Scheduler, log: io.StringIO
) -> None:
    """Its reply was lost, so the script runs twice with the same reading."""
    before_ms = _ahead_ms(rig)
    scheduler.wake()
    scheduler.wake()
    assert abs(_ahead_ms(rig) - before_ms) <= 1_000
    assert "clock_stepped" not in log.getvalue()


@pytest.mark.parametrize("offset_ms", [-HOUR_MS, HOUR_MS])
def test_a_probe_is_due_by_the_clock_of_the_ledger(rig: Rig, offset_ms: int) -> None:
    """After a step of the server's clock it is neither an hour late nor an hour early."""
    rig.redis.hset(rig.key("clock"), "offset_ms", offset_ms)
    now_ms = round(time.time() * 1000) + offset_ms
    due = {"earlier": now_ms - HOUR_MS // 2, "later": now_ms + HOUR_MS // 2}
    rig.redis.zadd(rig.key("probes"), due)
    assert rig.stores.due_probes(limit=10) == ["earlier"]
