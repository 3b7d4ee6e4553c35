"""What the scripts of the scheduler and of operators change in Redis for one refund."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from statemachine.flows import State
from tests.support.keys import GONE
from tests.support.rig import ANN, STORE_ID, Rig
from tests.support.script_scenes import (
    BURIED,
    DEAD_AGAIN,
    DEAD_WORKER,
    MINUTE_MS,
    NO_SLOT,
    NO_WORK,
    REVERSED,
    SLOT,
    WHY,
    Changes,
    Scene,
    accept,
    changes,
    claim,
    commit,
    ended,
    in_state,
    listed,
    request,
    sent,
    suspended,
)
from worker.ledger.claims import Change
from worker.refund.facts import Facts
from worker.refund.outcomes import about, outcome

#: When the watch of a refund ends.
LAST_MIN = 144_000
#: A look in the store's line is done, and the next one, which is the last, is planned.
LOOKED: Changes = {"looks:STORE>rf": GONE, "look_stores>STORE": GONE}
WATCHED: Changes = {**LOOKED, "watch>rf": "at the end"}


def _replayed(rig: Rig) -> Changes:
    ended(rig, State.DEAD, fields={"died_in": "refundable", "reason": '{"reason": "x"}'})
    refund = rig.load("rf")
    return changes(
        rig, lambda: rig.ledger.replay(refund, Facts(rounds=1), ANN.act("dead.replay", "rf"))
    )


def _woken(rig: Rig) -> Changes:
    accept(rig)
    commit(rig, claim(rig), next="later", due_in_ms=10 * MINUTE_MS)
    rig.redis.zadd(rig.key("due"), {"rf": 1})
    rig.redis.zadd(rig.key("paced"), {STORE_ID: 1})
    return changes(rig, lambda: rig.ledger.wake_due("w", lead_ms=MINUTE_MS))


def _woken_for_the_watch(rig: Rig) -> Changes:
    ended(rig, State.REFUNDED, watch_in_ms=1)
    rig.redis.zadd(rig.key("watch"), {"rf": 1})
    return changes(rig, lambda: rig.ledger.wake_due("w", lead_ms=MINUTE_MS))


def _look_is_due(rig: Rig) -> None:
    ended(rig, State.REFUNDED, watch_in_ms=1)
    rig.redis.zadd(rig.key("watch"), {"rf": 1})
    rig.ledger.wake_due("w", lead_ms=MINUTE_MS)


def _looks(rig: Rig) -> Changes:
    _look_is_due(rig)
    return changes(rig, rig.ledger.watched.take)


def _looks_suspended(rig: Rig) -> Changes:
    _look_is_due(rig)
    rig.redis.hset(rig.key("suspended", STORE_ID), "since_ms", 1)
    return changes(rig, rig.ledger.watched.take)


def _woken_although_ended(rig: Rig) -> Changes:
    ended(rig, State.REFUNDED)
    rig.redis.zadd(rig.key("lane", STORE_ID), {"rf": 1})
    rig.redis.zadd(rig.key("paced"), {STORE_ID: 1})
    return changes(rig, lambda: rig.ledger.wake_due("w", lead_ms=MINUTE_MS))


def _watched(
    *,
    age_min: int = 1,
    version: int = 2,
    failed: bool = False,
    reason: Mapping[str, Any] | None = None,
) -> Scene:
    """Look at a refund that ended some minutes ago; its watch lasts 2,400 hours."""

    def scene(rig: Rig) -> Changes:
        _look_is_due(rig)
        reversal = outcome("reversed", "recheck_refund", **about(request()))
        line = {"event": "refund.reversed"}
        news = Change(line=line, facts=Facts(rounds=1), outcome=reversal, reason=reason)

        def act() -> None:
            ended_ms = rig.redis.time()[0] * 1000 - age_min * MINUTE_MS
            rig.redis.hset(rig.key("refund", "rf"), "updated_at_ms", ended_ms)
            for_ms, watched = LAST_MIN * MINUTE_MS, rig.ledger.watched
            if failed:
                watched.failed(STORE_ID, ["rf"], for_ms=for_ms)
            elif version == 0:
                watched.unchanged(STORE_ID, ["rf"], for_ms=for_ms)
            else:
                looked_at = rig.load("rf")._replace(version=version)
                watched.changed(looked_at, news, for_ms=for_ms)

        found = dict(changes(rig, act))
        assert found.pop("refund:rf.updated_at_ms")
        if planned := found.get("watch>rf"):
            # It may be five minutes late, to share a call.
            assert 0 <= int(planned.split()[1]) + age_min - LAST_MIN <= 6
            found["watch>rf"] = "at the end"
        return found

    return scene


def _requeued(rig: Rig) -> Changes:
    accept(rig)
    rig.redis.delete(rig.key("steps"))
    return changes(rig, lambda: list(rig.ledger.requeue_lost()))


def _requeued_although_fetched(rig: Rig) -> Changes:
    """A living worker has the message, and no claim yet."""
    accept(rig)
    rig.redis.lmove(rig.key("steps"), rig.key("steps", "inflight", rig.broker.broker_id))
    return changes(rig, lambda: list(rig.ledger.requeue_lost()))


def _requeued_although_ended(rig: Rig) -> Changes:
    ended(rig, State.REFUNDED)
    rig.redis.zadd(rig.key("busy", STORE_ID), {"rf": 1})
    rig.redis.sadd(rig.key("busy_stores"), STORE_ID)
    rig.redis.delete(rig.key("steps"), rig.key("steps.msgs"))
    return changes(rig, lambda: list(rig.ledger.requeue_lost()))


def _bury(rig: Rig) -> Changes:
    refund, line = rig.load("rf"), {"event": "step.dead"}
    return changes(rig, lambda: rig.stores.bury(refund, reason=WHY, line=line))


def _buried_in_the_lane(rig: Rig) -> Changes:
    suspended(rig)
    return _bury(rig)


def _buried_while_due(rig: Rig) -> Changes:
    accept(rig)
    commit(rig, claim(rig), state=State.ACCEPTED, next="later", due_in_ms=MINUTE_MS)
    return _bury(rig)


def _buried(*, held_by: str | None = None, intent_at_ms: int = 0) -> Scene:
    def scene(rig: Rig) -> Changes:
        accept(rig)
        if held_by is not None:
            claim(rig, worker=held_by)
        rig.redis.hset(rig.key("refund", "rf"), "intent_at_ms", intent_at_ms)
        return _bury(rig)

    return scene


def _buried_after_its_end(rig: Rig) -> Changes:
    ended(rig, State.REFUNDED)
    return _bury(rig)


#: The situation, and what changes.
CASES: list[tuple[str, Scene, Changes]] = [
    (
        "replayed",
        _replayed,
        {
            **SLOT,
            **in_state("refundable", "dead"),
            **sent(2, "submit_refund"),
            "audit_log": ["dead.replay"],
            "dead>rf": GONE,
            "history:rf": ["refund.accepted", "refund.replayed"],
            "outcomes": ["refund.accepted", "refund.replayed"],
            "refund:rf.attempt": 0,
            "refund:rf.died_in": GONE,
            "refund:rf.facts": {"rounds": 1},
            "refund:rf.failing_since_ms": 0,
            "refund:rf.reason": {},
            **dict.fromkeys(listed("x", "submit_refund", "refundable"), GONE),
            "refund:rf.replayed_at_ms": "now",
            "refund:rf.replayed_by": "NONCE",
            "refund:rf.updated_at_ms": "now",
            "refund:rf.version": 3,
        },
    ),
    (
        "woken",
        _woken,
        {
            **SLOT,
            **sent(2, "submit_refund"),
            "due>rf": GONE,
            "paced>STORE": GONE,
            "refund:rf.due_at_ms": 0,
            "refund:rf.updated_at_ms": "now",
            "scheduler": "w",
        },
    ),
    (
        "woken for the watch",
        _woken_for_the_watch,
        {"scheduler": "w", "watch>rf": GONE, "looks:STORE>rf": "now", "look_stores>STORE": "now"},
    ),
    (
        "woken although it has ended",
        _woken_although_ended,
        {"lane:STORE>rf": GONE, "paced>STORE": GONE, "scheduler": "w"},
    ),
    ("watched for the first time", _watched(version=0), WATCHED),
    ("watched for the last time", _watched(version=0, age_min=LAST_MIN), LOOKED),
    ("watched in vain", _watched(failed=True, age_min=LAST_MIN), {}),
    ("watched in vain for a day", _watched(failed=True, age_min=LAST_MIN + 1_440), LOOKED),
    ("watched, reversed", _watched(), {**REVERSED, **WATCHED}),
    ("watched, reversed before", _watched(version=1), WATCHED),
    (
        "looks handed out",
        _looks,
        {"looks:STORE>rf": "now +10 min", "look_stores>STORE": "now +10 min"},
    ),
    ("looks of a suspended store", _looks_suspended, {"look_stores>STORE": "now +10 min"}),
    (
        "watched, overpaid",
        _watched(reason=WHY),
        {
            **REVERSED,
            **DEAD_AGAIN,
            "refund:rf.reason": WHY,
            **LOOKED,
        },
    ),
    (
        "requeued",
        _requeued,
        {**sent(2, "assess_order", ["rf~2"]), "steps.msgs.rf~1": GONE},
    ),
    ("requeued although a living worker has it", _requeued_although_fetched, {}),
    ("requeued although it has ended", _requeued_although_ended, NO_WORK),
    (
        "buried in the lane",
        _buried_in_the_lane,
        {
            **BURIED,
            "lane:STORE>rf": GONE,
            "outcomes": ["refund.accepted", "store.suspended", "refund.dead_lettered"],
            "refund:rf.version": 3,
        },
    ),
    ("buried while due", _buried_while_due, {**BURIED, "due>rf": GONE, "refund:rf.version": 3}),
    ("buried while queued", _buried(intent_at_ms=1), {**BURIED, **NO_SLOT}),
    (
        "buried after a dead worker that wrote no intent",
        _buried(held_by=DEAD_WORKER),
        {**BURIED, **NO_SLOT, "lease:STORE:ORDER": GONE, "refund:rf.held_by": GONE},
    ),
    (
        "buried after a dead worker that wrote an intent",
        _buried(held_by=DEAD_WORKER, intent_at_ms=1),
        {
            **BURIED,
            **NO_SLOT,
            "lease:STORE:ORDER": GONE,
            "refund:rf.held_by": GONE,
            "refund:rf.intent_at_ms": "now",
        },
    ),
    ("buried while a living worker holds it", _buried(held_by=""), {}),
    ("buried after its end", _buried_after_its_end, {}),
]


@pytest.mark.parametrize(
    ("scene", "expected"), [case[1:] for case in CASES], ids=[case[0] for case in CASES]
)
def test_a_script_changes_exactly_this(rig: Rig, scene: Scene, expected: Changes) -> None:
    """A write that is missing, or one too many, would be noticed much later, or never."""
    assert scene(rig) == expected
