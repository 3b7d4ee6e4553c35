"""Wix is down for most stores: a few stores are probed, then all continue step by step.

Where only a few stores have work, the retries of each pause by themselves.
"""

from __future__ import annotations

import io
import json
import uuid
from collections.abc import Iterator
from dataclasses import replace

import pytest

from statemachine.flows import State
from tests.support.rig import AFTER, Rig, settings_for
from tests.support.stores_rig import StoresRig, lines
from tests.support.virtual_time import VirtualTime
from worker.ledger.circuit import CIRCUIT
from worker.refund.request import parse_request
from worker.simulator import Fault, Simulator
from worker.stores.outages import Outages

STORES = 8
DOWN = Fault("status", status=503, times=10**9)


class Wide:
    """Many stores, in virtual time; the circuit is looked at every second."""

    def __init__(self, redis_url: str) -> None:
        settings = settings_for(redis_url, retry_for_s="86400", retry_attempts="12")
        self.rig = StoresRig(settings, Simulator())
        self.ids = [str(uuid.UUID(int=number + 1)) for number in range(STORES)]
        for number, store_id in enumerate(self.ids):
            key = f"IST.many.{number}.key"
            self.rig.simulator.add_store(store_id, key)
            self.rig.give(store_id, key)
        self.time = VirtualTime(self.rig)
        self.outages = Outages(
            circuit=self.rig.ledger.circuit,
            stores=self.rig.stores,
            keyring=self.rig.steps.keyring,
            wix=self.rig.wix,
        )

    def ask(self, stores: int = STORES, each: int = 1) -> list[str]:
        """Ask for refunds of so many stores."""
        asked = []
        for store_id in self.ids[:stores]:
            for _ in range(each):
                order = self.rig.simulator.add_order(store_id, created_date=AFTER)
                refund_id = f"rf-{uuid.uuid4()}"
                job = {"refund_id": refund_id, "store_id": store_id, "order_id": order.id}
                self.rig.ledger.accept(parse_request(job), self.rig.delivery(message_id=""))
                asked.append(refund_id)
        return asked

    def break_orders(self, refund_ids: list[str]) -> None:
        """Let Wix fail for the orders of these refunds, and for no others."""
        orders = [self.rig.load(refund_id).request.order_id for refund_id in refund_ids]
        faults = [replace(DOWN, order_id=order) for order in orders]
        self.rig.simulator.script(*faults)

    def run_for_s(self, seconds: int) -> None:
        """Run steps, and look at the circuit each second."""
        for _ in range(seconds):
            self.time.run_for_ms(1_000)
            self.outages.turn(lambda: False)

    def calls(self) -> int:
        """Return how many calls were made."""
        return len(self.rig.simulator.calls)


@pytest.fixture
def wide(redis_url: str) -> Iterator[Wide]:
    """Many stores."""
    wide = Wide(redis_url)
    yield wide
    wide.rig.close()


def _events(log: io.StringIO) -> list[str]:
    return [line["event"] for line in lines(log) if line["event"].startswith("wix.")]


def test_an_outage_stops_all_stores_and_only_a_few_are_probed(wide: Wide, log: io.StringIO) -> None:
    """Else thousands of refunds run into it again and again."""
    wide.ask(each=3)
    wide.rig.simulator.script(DOWN)
    wide.run_for_s(5)
    assert _events(log) == ["wix.circuit_opened"]
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
    assert _events(log) == ["wix.circuit_opened", "wix.circuit_closed"]
    assert {wide.rig.load(refund_id).state for refund_id in ids} == {State.REFUNDED}
    assert not wide.rig.redis.exists(wide.rig.key("outage"))


def test_the_circuit_opens_again_if_the_stores_fail_again(wide: Wide, log: io.StringIO) -> None:
    """The probes succeed, but the refunds' own calls do not."""
    wide.ask(each=4)
    down = Fault("status", "get_order", status=503, times=10**9)
    wide.rig.simulator.script(down)
    wide.run_for_s(60)
    assert _events(log) == ["wix.circuit_opened"]
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
    assert _events(log) == []


def test_each_of_a_few_stores_pauses_its_retries_ever_longer(wide: Wide, log: io.StringIO) -> None:
    """Too few have work to tell an outage; without a pause each refund runs into it by itself."""
    ids = wide.ask(stores=2, each=30)
    wide.rig.simulator.script(DOWN)
    wide.run_for_s(60)
    before = wide.calls()
    assert before < 2 * (30 + CIRCUIT["IN_A_ROW"])
    wide.run_for_s(240)
    assert wide.calls() - before <= 2 * 5 * CIRCUIT["PROBED"]
    assert _events(log) == []
    for store in wide.ids[:2]:
        kept_ms = wide.rig.redis.pttl(wide.rig.key("unanswered", store))
        assert 0 < kept_ms <= CIRCUIT["CAP_MS"] + CIRCUIT["WINDOW_MS"]
    wide.rig.simulator.clear_faults()
    wide.run_for_s(CIRCUIT["CAP_MS"] // 1000 + 60)
    assert {wide.rig.load(refund_id).state for refund_id in ids} == {State.REFUNDED}


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


def test_no_pause_keeps_a_refund_from_a_person_for_longer_than_it_is_to_be_retried(
    wide: Wide,
) -> None:
    """Hundreds of failing refunds share the few retries of their store."""
    ids = wide.ask(stores=1, each=3 * CIRCUIT["IN_A_ROW"])
    wide.rig.simulator.script(DOWN)
    wide.run_for_s(60)
    for refund_id in ids:
        wide.rig.redis.hincrby(wide.rig.key("refund", refund_id), "failing_since_ms", -86_400_000)
    # All that is left are their own waits: half of 1, 2, 4 ... 900 seconds.
    wide.run_for_s(1_000)
    ended = [wide.rig.load(refund_id) for refund_id in ids]
    assert {(refund.state, refund.attempt) for refund in ended} == {(State.DEAD, 12)}


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


def test_a_429_or_a_refusal_is_an_answer(wide: Wide, log: io.StringIO) -> None:
    """They are about a store, not about Wix."""
    wide.rig.simulator.script(
        Fault("status", status=429, times=STORES), Fault("status", status=404, times=STORES)
    )
    wide.ask(each=2)
    wide.run_for_s(10)
    assert _events(log) == []


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
