"""Wix is down for most stores: a few stores are probed, then all continue step by step."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator

import pytest

from statemachine.flows import State
from tests.support.rig import AFTER, Rig
from tests.support.virtual_time import VirtualTime
from tests.support.wide import DOWN, STORES, Wide, circuit_events
from worker.ledger.circuit import CIRCUIT
from worker.simulator import Fault


@pytest.fixture
def wide(redis_url: str) -> Iterator[Wide]:
    """Many stores."""
    wide = Wide(redis_url)
    yield wide
    wide.rig.close()


def test_an_outage_stops_all_stores_and_only_a_few_are_probed(wide: Wide, log: io.StringIO) -> None:
    """Else thousands of refunds run into it again and again."""
    wide.ask(each=3)
    wide.rig.simulator.script(DOWN)
    wide.run_for_s(5)
    assert circuit_events(log) == ["wix.circuit_opened"]
    before = wide.calls()
    wide.ask()
    wide.run_for_s(120)
    # Probes after 5, 10, 20, 40 and 60 seconds.
    assert wide.calls() - before <= 5 * CIRCUIT["PROBED"]
    probed = {call["site_id"] for call in wide.rig.simulator.calls[before:]}
    assert len(probed) > CIRCUIT["PROBED"]


def test_after_the_outage_everything_is_done_within_minutes_and_nothing_is_dead(
    wide: Wide, log: io.StringIO
) -> None:
    """Retries do not wait out what they drew while Wix was down."""
    ids = wide.ask(each=3)
    wide.rig.simulator.script(DOWN)
    wide.run_for_s(400)
    for refund_id in wide.rig.redis.zrange(wide.rig.key("due"), 0, -1):
        wide.rig.redis.zadd(wide.rig.key("due"), {refund_id: wide.time.now_ms + 800_000})
    wide.rig.simulator.clear_faults()
    wide.run_for_s(CIRCUIT["CAP_MS"] // 1000 + 120)
    assert circuit_events(log) == ["wix.circuit_opened", "wix.circuit_closed"]
    assert {wide.rig.load(refund_id).state for refund_id in ids} == {State.REFUNDED}
    assert not wide.rig.redis.exists(wide.rig.key("outage"))


def test_the_circuit_opens_again_if_the_stores_fail_again(wide: Wide, log: io.StringIO) -> None:
    """The probes succeed, but the refunds' own calls do not."""
    wide.ask(each=4)
    down = Fault("status", "get_order", status=503, times=10**9)
    wide.rig.simulator.script(down)
    wide.run_for_s(60)
    assert circuit_events(log) == ["wix.circuit_opened"]
    assert wide.rig.redis.exists(wide.rig.key("outage"))


def test_few_stores_that_fail_are_no_outage(wide: Wide, log: io.StringIO) -> None:
    """Two stores, or the smaller part: their own retries are enough."""
    down = [Fault("status", "get_order", status=503, times=10**9)]
    failing = wide.ask(stores=2)
    orders = [wide.rig.load(refund_id).request.order_id for refund_id in failing]
    faults = [Fault(**(vars(fault) | {"order_id": o})) for fault in down for o in orders]
    wide.rig.simulator.script(*faults)
    wide.ask()
    wide.run_for_s(20)
    assert circuit_events(log) == []


def test_a_429_or_a_refusal_is_an_answer(wide: Wide, log: io.StringIO) -> None:
    """They are about a store, not about Wix."""
    wide.rig.simulator.script(
        Fault("status", status=429, times=STORES), Fault("status", status=404, times=STORES)
    )
    wide.ask(each=2)
    wide.run_for_s(10)
    assert circuit_events(log) == []


def test_a_wait_that_is_not_a_retry_keeps_its_time(wide: Wide) -> None:
    """A refund that waits for its provider is not asked about sooner."""
    wide.rig.simulator.set_flags(provider_ms=10**12)
    waiting = wide.ask(stores=1)
    wide.run_for_s(70)
    due = wide.rig.redis.zscore(wide.rig.key("due"), waiting[0])
    wide.rig.redis.zadd(wide.rig.key("due"), {waiting[0]: due + 10**7})
    wide.rig.simulator.script(DOWN)
    wide.ask()
    wide.run_for_s(5)
    wide.rig.simulator.clear_faults()
    wide.run_for_s(60)
    assert wide.rig.redis.zscore(wide.rig.key("due"), waiting[0]) == due + 10**7


def test_a_ledger_without_an_outage_keeps_only_the_last_minute(rig: Rig) -> None:
    """One entry per store that was asked."""
    rig.run(rig.order(AFTER))
    assert rig.redis.zcard(rig.key("answers")) == 1
    assert json.dumps(rig.ledger.circuit.look()._asdict())
    time = VirtualTime(rig)
    time.pass_ms(10**13)
    rig.ledger.wake_due("rig", lead_ms=1)
    rig.ledger.circuit.look()
    assert rig.redis.zcard(rig.key("answers")) == 0
