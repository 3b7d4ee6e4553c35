"""While an old primary still answers, a worker meets now one server, now the other one."""

from __future__ import annotations

import io
import json
from collections.abc import Callable

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


def _is_written(rig: Rig, refund_id: str) -> bool:
    claim = rig.ledger.claim(refund_id, Transition.SUBMIT_REFUND, rig.delivery())
    assert claim.refund is not None
    return rig.ledger.write_intent(claim, claim.refund, rig.delivery()).status == "written"


def _waits_at_old_ones(log: io.StringIO) -> list[int]:
    lines = [json.loads(line) for line in log.getvalue().splitlines()]
    return [line["in_ms"] for line in lines if line["event"] == "worker.old_primary"]


def test_a_worker_makes_its_calls_on_the_new_one_only(rig: Rig, log: io.StringIO) -> None:
    """Each refund is known to both; another worker may make the call on the new one."""
    tick(rig)
    rig.broker.beat()
    refund_id = ready(rig)
    go_back: Callable[[], None] = replica(rig, rig.redis.hget(rig.key("clock"), "run_id"))
    fail_over(rig)
    rig.broker.beat()
    let_pass(rig, GRACE_MS)
    asked_for = rig.redis.hget(rig.key("clock"), "asked_for")
    go_on: Callable[[], None] = replica(rig, rig.redis.hget(rig.key("clock"), "run_id"))
    for _ in range(2):
        go_back()
        for _ in range(3):
            rig.broker.beat()
            assert not _is_written(rig, refund_id)
        go_on()
        assert rig.redis.hget(rig.key("clock"), "asked_for") == asked_for
        rig.broker.beat()
    assert _is_written(rig, refund_id)
    assert rig.load(refund_id).state is State.REFUNDABLE
    # Each time that it met the old one, it said so once.
    assert len(_waits_at_old_ones(log)) == 2


@pytest.mark.parametrize("is_heard", [False, True])
def test_a_refund_waits_at_an_old_one_for_as_long_as_its_worker(
    rig: Rig, log: io.StringIO, is_heard: bool
) -> None:
    """Nothing can end that wait sooner, so nothing is asked of Wix in the meantime."""
    tick(rig)
    rig.broker.beat()
    refund_id = ready(rig)
    go_back = replica(rig, rig.redis.hget(rig.key("clock"), "run_id"))
    fail_over(rig)
    rig.broker.beat()
    go_back()
    if is_heard:
        rig.broker.beat()
    rig.run_queued()
    least_ms = rig.settings.settle_delay_ms - 10_000
    assert wait_ms(rig, refund_id) > least_ms
    rig.broker.beat()
    let_pass(rig, GRACE_MS)
    rig.run_queued()
    assert wait_ms(rig, refund_id) > least_ms
    assert changes(rig) == 0
    [in_ms] = _waits_at_old_ones(log)
    assert least_ms < in_ms <= rig.settings.settle_delay_ms
