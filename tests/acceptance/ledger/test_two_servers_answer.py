"""While an old primary still answers, a worker meets now one server, now the other one."""

from __future__ import annotations

from collections.abc import Callable

from statemachine.flows import State, Transition
from tests.support.failovers import GRACE_MS, fail_over, let_pass, ready, replica, tick
from tests.support.rig import Rig


def _is_written(rig: Rig, refund_id: str) -> bool:
    claim = rig.ledger.claim(refund_id, Transition.SUBMIT_REFUND, rig.delivery())
    assert claim.refund is not None
    return rig.ledger.write_intent(claim, claim.refund, rig.delivery()).status == "written"


def test_a_worker_makes_its_calls_on_the_new_one_only(rig: Rig) -> None:
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
