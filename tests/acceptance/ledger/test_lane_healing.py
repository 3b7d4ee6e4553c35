"""A store with waiting refunds that gets no turn is found, by the worker and by the audit."""

from __future__ import annotations

import io
import json

from statemachine.flows import State
from tests.support.rig import AFTER, ANN, STORE_ID, Rig
from worker.operations.acts.stores import pause
from worker.scheduler.requeue import LaneHealer, requeue_lost


def _forget_a_store(rig: Rig) -> str:
    """Let a refund wait in the lane of a store that is in no list."""
    pause(rig.acts, STORE_ID, operator=ANN)
    refund_id = rig.request(rig.order(AFTER))
    rig.run_queued()
    rig.redis.hdel(rig.key("paused"), STORE_ID)
    rig.redis.delete(rig.key("ring"), rig.key("busy_stores"), rig.key("paused_lanes"))
    return refund_id


def test_the_worker_lets_a_forgotten_store_have_its_turn(rig: Rig, log: io.StringIO) -> None:
    """Without anybody noticing first."""
    refund_id = _forget_a_store(rig)
    assert list(rig.ledger.requeue_lost()) == []
    rig.run_until_idle()
    assert rig.load(refund_id).state is State.ACCEPTED
    LaneHealer(rig.ledger).turn()
    requeue_lost(rig.ledger)
    rig.run_until_idle()
    assert rig.load(refund_id).state is State.REFUNDED
    told = [json.loads(line) for line in log.getvalue().splitlines()]
    assert [x["store_id"] for x in told if x["event"] == "store.roused"] == [STORE_ID]


def test_the_audit_names_it(rig: Rig) -> None:
    """And a repair ends it."""
    refund_id = _forget_a_store(rig)
    [problem] = rig.problems()
    assert problem.refund_id == refund_id
    assert "gets no turn" in problem.problem


def test_all_unfinished_refunds_are_looked_at_in_turn(rig: Rig) -> None:
    """Then it begins again, after a minute."""
    now_s = [0.0]
    healer = LaneHealer(rig.ledger, lambda: now_s[0])
    healer.turn()
    refund_id = _forget_a_store(rig)
    healer.turn()
    assert rig.redis.scard(rig.key("busy_stores")) == 0
    now_s[0] = 61.0
    healer.turn()
    assert rig.redis.scard(rig.key("busy_stores")) == 1
    assert rig.load(refund_id).state is State.ACCEPTED
