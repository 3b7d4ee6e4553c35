"""Calls to Wix that end with a timeout do not keep the threads that others need."""

from __future__ import annotations

from collections.abc import Iterator

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
    """Each call costs a thread ten seconds; soon there is one, for a quarter of the time."""
    ids = wide.ask(stores=1, each=20)
    wide.rig.simulator.script(DOWN)
    wide.rig.at["after_call"] = lambda: wide.hang_for_ms(HANGING_MS)
    for _ in range(CIRCUIT["REST_AFTER"]):
        wide.rig.run_one_step()
    busy = wide.rig.key("busy", wide.ids[0])
    assert wide.rig.redis.zcard(busy) <= 1
    before, start_ms = wide.calls(), wide.time.now_ms
    while wide.time.now_ms < start_ms + 400_000:
        wide.run_for_s(1)
        assert wide.rig.redis.zcard(busy) <= 1
    assert 5 <= wide.calls() - before <= 400_000 / (HANGING_MS * (1 + CIRCUIT["REST"])) + 2
    del wide.rig.at["after_call"]
    wide.rig.simulator.clear_faults()
    wide.run_for_s(CIRCUIT["REST"] * HANGING_MS // 1000 + CIRCUIT["CAP_MS"] // 1000 + 60)
    assert {wide.rig.load(refund_id).state for refund_id in ids} == {State.REFUNDED}
