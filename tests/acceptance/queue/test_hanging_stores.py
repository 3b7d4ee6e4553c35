"""Calls to Wix that end with a timeout do not keep the threads that others need."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import pytest

from statemachine.flows import State
from tests.support.wide import DOWN, Wide
from worker.ledger.circuit import CIRCUIT

#: How long a call takes that ends with a timeout.
HANGING_MS = 10_000


@pytest.fixture
def wide(redis_url: str) -> Iterator[Wide]:
    """Many stores."""
    wide = Wide(redis_url)
    yield wide
    wide.rig.close()


def test_a_store_whose_calls_hang_keeps_few_threads(wide: Wide) -> None:
    """Each call costs a thread ten seconds; soon there are two, for retries a quarter of one."""
    ids = wide.ask(stores=1, each=20)
    wide.rig.simulator.script(DOWN)
    wide.rig.at["after_call"] = lambda: wide.hang_for_ms(HANGING_MS)
    # Those that are in flight when the third one fails go on.
    begun = CIRCUIT["REST_AFTER"] + wide.rig.settings.lane_width - 1
    for _ in range(begun):
        wide.rig.run_one_step()
    busy = wide.rig.key("busy", wide.ids[0])
    assert wide.rig.redis.zcard(busy) <= CIRCUIT["NARROW"]
    before, start_ms = wide.calls(), wide.time.now_ms
    while wide.time.now_ms < start_ms + 400_000:
        wide.run_for_s(1)
        assert wide.rig.redis.zcard(busy) <= CIRCUIT["NARROW"]
    first = len(ids) - begun
    first_ms = first * HANGING_MS
    most = (400_000 - first_ms) / (HANGING_MS * (1 + CIRCUIT["REST"])) + first_ms / CIRCUIT[
        "CAP_MS"
    ]
    assert 3 <= wide.calls() - before - first <= most + 2
    del wide.rig.at["after_call"]
    wide.rig.simulator.clear_faults()
    wide.run_for_s(CIRCUIT["REST"] * HANGING_MS // 1000 + CIRCUIT["CAP_MS"] // 1000 + 60)
    assert {wide.rig.load(refund_id).state for refund_id in ids} == {State.REFUNDED}


def test_a_new_refund_starts_beside_a_retry_that_hangs(wide: Wide) -> None:
    """Its order may be one for which Wix answers."""
    failing = wide.ask(stores=1, each=CIRCUIT["REST_AFTER"])
    wide.break_orders(failing)
    wide.rig.at["after_call"] = lambda: wide.hang_for_ms(HANGING_MS)
    wide.run_for_s(200)
    others: list[str] = []

    def ask() -> None:
        del wide.rig.at["after_call"]
        others.extend(wide.ask(stores=1))
        busy = wide.rig.key("busy", wide.ids[0])
        assert others[0] in wide.rig.redis.zrange(busy, 0, -1)

    wide.rig.at["after_call"] = ask
    wide.run_for_s(120)
    assert [wide.rig.load(refund_id).state for refund_id in others] == [State.REFUNDED]


def test_broken_orders_that_hang_hold_up_no_other_refund_of_their_store(wide: Wide) -> None:
    """They came first, and their retries alone would keep the store busy."""
    broken = wide.ask(stores=1, each=20)
    wide.break_orders(broken)
    calls = wide.rig.simulator.calls
    wide.rig.at["after_call"] = lambda: wide.hang_for_ms(HANGING_MS if _has_failed(calls) else 0)
    wide.run_for_s(300)
    for _ in range(4):
        [other] = wide.ask(stores=1)
        asked_ms = wide.time.now_ms
        while wide.rig.load(other).state is not State.REFUNDED:
            wide.run_for_s(1)
            # When Wix has answered, each of them is tried once more.
            assert wide.time.now_ms < asked_ms + (len(broken) + 4) * HANGING_MS
        wide.run_for_s(60)


def test_retries_of_a_store_that_always_has_new_refunds_are_made(wide: Wide) -> None:
    """New ones go first, but not for ever."""
    ids = wide.ask(stores=1, each=CIRCUIT["IN_A_ROW"])
    wide.rig.simulator.script(DOWN)
    wide.rig.at["after_call"] = lambda: wide.hang_for_ms(HANGING_MS)
    wide.run_for_s(200)
    ids += wide.ask(stores=1, each=60)
    before, start_ms = _retries(wide, ids), wide.time.now_ms
    while wide.time.now_ms < start_ms + 400_000:
        wide.run_for_s(1)
    assert wide.rig.redis.zcard(wide.rig.key("lane", wide.ids[0])) > 0
    assert 3 <= _retries(wide, ids) - before <= 400_000 / CIRCUIT["CAP_MS"] + 1


def _retries(wide: Wide, refund_ids: list[str]) -> int:
    return sum(max(0, wide.rig.load(refund_id).attempts - 1) for refund_id in refund_ids)


def _has_failed(calls: Sequence[Mapping[str, Any]]) -> bool:
    return bool(calls) and calls[-1]["status"] == DOWN.status
