"""What each script changes in Redis for one refund: all of it, and nothing else."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from statemachine.flows import State, Transition
from tests.support.keys import GONE
from tests.support.rig import STORE_ID, Rig
from tests.support.script_scenes import (
    DEAD_WORKER,
    MINUTE_MS,
    NO_SLOT,
    ORDER_ID,
    SLOT,
    Changes,
    Scene,
    accept,
    changes,
    claim,
    commit,
    ended,
    in_state,
    request,
    sent,
    suspended,
    suspension,
)
from worker.ledger.claims import Change
from worker.refund.facts import Facts
from worker.refund.outcomes import about, outcome

EVENT = {"type": "t", "step": "s", "data": "{}"}
WHY = {"reason": "store_disconnected"}

ACCEPTED: Changes = {
    "accepted>rf": "now",
    "history:rf": ["refund.accepted"],
    "order:STORE:ORDER>rf": True,
    "outcomes": ["refund.accepted"],
    "refund:rf.accepted_at_ms": "now",
    "refund:rf.arrival": 1,
    "refund:rf.committed_at_ms": "now",
    "refund:rf.digest": "DIGEST",
    "refund:rf.order_id": "ORDER",
    "refund:rf.request": "REQUEST",
    "refund:rf.schema": 1,
    "refund:rf.state": "accepted",
    "refund:rf.store_id": "STORE",
    "refund:rf.updated_at_ms": "now",
    "refund:rf.version": 1,
    "state:accepted>rf": "now",
}
CLAIMED: Changes = {
    "lease:STORE:ORDER": "ME|m|e",
    "refund:rf.attempt": 1,
    "refund:rf.attempts": 1,
    "refund:rf.fence": 1,
    "refund:rf.held_by": "ME|m|e",
    "refund:rf.prior_intent_at_ms": 0,
}
COMMITTED: Changes = {
    "lease:STORE:ORDER": GONE,
    "refund:rf.committed_at_ms": "now",
    "refund:rf.held_by": GONE,
    "refund:rf.intent_at_ms": 0,
    "refund:rf.settled_fence": 1,
    "refund:rf.updated_at_ms": "now",
    "refund:rf.version": 2,
    "refund:rf.wix_calls": 0,
}
LATER: Changes = {**NO_SLOT, "due>rf": "now +10 min", "refund:rf.due_at_ms": "now +10 min"}
DEAD: Changes = {**in_state("dead"), "dead>rf": "now"}
SUSPENDED: Changes = {
    "outcomes": ["refund.accepted", "store.suspended"],
    "probes>STORE": "now +10 min",
    "store:STORE.events": 1,
    "suspended:STORE.by": "ME|m|e",
    "suspended:STORE.endpoint": "get_order",
    "suspended:STORE.epoch": 0,
    "suspended:STORE.probes": 0,
    "suspended:STORE.reason": {"reason": "key_refused"},
    "suspended:STORE.since_ms": "now",
}
BURIED: Changes = {
    **DEAD,
    "history:rf": ["refund.accepted", "step.dead"],
    "outcomes": ["refund.accepted", "refund.dead_lettered"],
    "refund:rf.buried_by": "NONCE",
    "refund:rf.died_in": "accepted",
    "refund:rf.due_at_ms": 0,
    "refund:rf.reason": WHY,
    "refund:rf.updated_at_ms": "now",
    "refund:rf.version": 2,
}
REVERSED: Changes = {
    "history:rf": ["refund.accepted", "refund.reversed"],
    "outcomes": ["refund.accepted", "refund.reversed"],
    "refund:rf.facts": {"rounds": 1},
    "refund:rf.version": 3,
}
#: When the watch of a refund ends.
LAST_MIN = 144_000
#: A look in the store's line is done, and the next one, which is the last, is planned.
LOOKED: Changes = {"looks:STORE>rf": GONE, "look_stores>STORE": GONE}
WATCHED: Changes = {**LOOKED, "watch>rf": "at the end"}


def _fill_the_lane(rig: Rig) -> None:
    """Let other refunds of the store use all its slots."""
    for n in range(rig.settings.lane_width):
        accept(rig, f"rf-{n}", f"67668940-527d-4465-94c6-{n:012d}")


def _accepted_for_later(rig: Rig) -> Changes:
    due_at_ms = rig.redis.time()[0] * 1000 + 10 * MINUTE_MS
    who = dataclasses.replace(rig.delivery(), due_at_ms=due_at_ms)
    return changes(rig, lambda: rig.ledger.accept(request(), who))


def _claimed(rig: Rig) -> Changes:
    accept(rig)
    return changes(rig, lambda: claim(rig))


def _claimed_again(intent_at_ms: int) -> Scene:
    def scene(rig: Rig) -> Changes:
        accept(rig)
        claim(rig, worker=DEAD_WORKER)
        rig.redis.hset(rig.key("refund", "rf"), "intent_at_ms", intent_at_ms)
        return changes(rig, lambda: claim(rig))

    return scene


def _claimed_from_the_lane(rig: Rig) -> Changes:
    _fill_the_lane(rig)
    accept(rig)
    rig.redis.delete(rig.key("busy_stores"))
    return changes(rig, lambda: claim(rig))


def _claimed_while_the_order_is_busy(rig: Rig) -> Changes:
    accept(rig, "other")
    rig.ledger.claim("other", Transition.ASSESS_ORDER, rig.delivery(message_id="m2"))
    accept(rig)
    return changes(rig, lambda: rig.ledger.claim("rf", Transition.ASSESS_ORDER, rig.delivery()))


def _intent(rig: Rig) -> Changes:
    accept(rig)
    held = claim(rig)
    assert held.refund is not None
    refund = held.refund
    return changes(rig, lambda: rig.ledger.write_intent(held, refund, rig.delivery()))


def _lost_intent(lost: str) -> Scene:
    """Lose the lease in one of the three ways in which a write notices it."""

    def scene(rig: Rig) -> Changes:
        accept(rig)
        held = claim(rig)
        assert held.refund is not None
        if lost == "lease":
            rig.redis.set(rig.key("lease", STORE_ID, ORDER_ID), "other|m|e")
        else:
            rig.redis.hset(rig.key("refund", "rf"), lost, "0")
        answers: list[Any] = []
        refund, who = held.refund, rig.delivery()
        found = changes(rig, lambda: answers.append(rig.ledger.write_intent(held, refund, who)))
        assert answers[0].status == "lost"
        return found

    return scene


def _committed(**what: Any) -> Scene:
    def scene(rig: Rig) -> Changes:
        accept(rig)
        held = claim(rig)
        return changes(rig, lambda: commit(rig, held, **what))

    return scene


def _committed_in_a_suspended_store(rig: Rig) -> Changes:
    accept(rig)
    held = claim(rig)
    rig.redis.hset(rig.key("suspended", STORE_ID), mapping={"epoch": "0", "reason": "{}"})
    return changes(rig, lambda: commit(rig, held))


def _committed_while_an_earlier_refund_waits(rig: Rig) -> Changes:
    accept(rig)
    held = claim(rig)
    rig.redis.zadd(rig.key("busy", STORE_ID), {f"b{n}": 1 for n in range(rig.settings.lane_width)})
    rig.redis.zadd(rig.key("lane", STORE_ID), {"earlier": 0})
    return changes(rig, lambda: commit(rig, held))


def _replayed(rig: Rig) -> Changes:
    ended(rig, State.DEAD, fields={"died_in": "refundable", "reason": '{"reason": "x"}'})
    refund = rig.load("rf")
    return changes(rig, lambda: rig.ledger.replay(refund, Facts(rounds=1), operator="ann"))


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
                looked_at = replace(rig.load("rf"), version=version)
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
        "accepted",
        lambda rig: changes(rig, lambda: accept(rig)),
        {**ACCEPTED, **SLOT, **sent(1, "assess_order")},
    ),
    (
        "accepted for later",
        _accepted_for_later,
        {**ACCEPTED, "due>rf": "now +10 min", "refund:rf.due_at_ms": "now +10 min"},
    ),
    ("claimed", _claimed, CLAIMED),
    (
        "claimed after a dead worker that wrote no intent",
        _claimed_again(0),
        {
            "lease:STORE:ORDER": "ME|m|e",
            "refund:rf.attempt": 2,
            "refund:rf.attempts": 2,
            "refund:rf.fence": 2,
            "refund:rf.held_by": "ME|m|e",
        },
    ),
    (
        "claimed after a dead worker that wrote an intent",
        _claimed_again(1),
        {
            "lease:STORE:ORDER": "ME|m|e",
            "refund:rf.attempt": 2,
            "refund:rf.attempts": 2,
            "refund:rf.fence": 2,
            "refund:rf.held_by": "ME|m|e",
            "refund:rf.prior_intent_at_ms": "now",
        },
    ),
    (
        "claimed from the lane by an old message",
        _claimed_from_the_lane,
        {**CLAIMED, **SLOT, "lane:STORE>rf": GONE},
    ),
    (
        "claimed while the order is busy",
        _claimed_while_the_order_is_busy,
        {"busy:STORE>rf": GONE, "due>rf": "now", "refund:rf.due_at_ms": "now"},
    ),
    ("an intent", _intent, {"refund:rf.intent_at_ms": "now"}),
    ("an intent without the lease", _lost_intent("lease"), {}),
    ("an intent of another run", _lost_intent("held_by"), {}),
    ("an intent of another claim", _lost_intent("fence"), {}),
    (
        "committed, goes on",
        _committed(),
        {**COMMITTED, **in_state("refundable"), **sent(2, "submit_refund")},
    ),
    (
        "committed, waits",
        _committed(next="later", due_in_ms=10 * MINUTE_MS, uncounted=True, intent="keep"),
        {**COMMITTED, **in_state("refundable"), **LATER, "refund:rf.attempts": 0},
    ),
    (
        "committed, dead",
        _committed(
            state=State.DEAD,
            next="end",
            intent="open",
            outcome=EVENT,
            fields={"reason": '{"reason": "x"}'},
        ),
        {
            **COMMITTED,
            **NO_SLOT,
            **DEAD,
            "outcomes": ["refund.accepted", "t"],
            "refund:rf.intent_at_ms": "now",
            "refund:rf.reason": {"reason": "x"},
            "store:STORE.last_error": {"reason": "x"},
            "store:STORE.last_error_at_ms": "now",
        },
    ),
    (
        "committed, rejected: an answer for upstream is no error of the store",
        _committed(
            state=State.REJECTED,
            next="end",
            outcome=EVENT,
            fields={"reason": '{"reason": "x"}'},
        ),
        {
            **COMMITTED,
            **NO_SLOT,
            **in_state("rejected"),
            "outcomes": ["refund.accepted", "t"],
            "refund:rf.reason": {"reason": "x"},
        },
    ),
    (
        "committed, finished",
        _committed(
            state=State.REFUNDED,
            next="end",
            outcome=EVENT,
            also=EVENT,
            watch_in_ms=MINUTE_MS,
            wix_calls=3,
            history=({"event": "step.done"},),
            fields={"reason": "{}"},
        ),
        {
            **COMMITTED,
            **NO_SLOT,
            **in_state("refunded"),
            "history:rf": ["refund.accepted", "step.done"],
            "outcomes": ["refund.accepted", "t", "t"],
            "refund:rf.reason": {},
            "refund:rf.wix_calls": 3,
            "watch>rf": "now +1 min",
        },
    ),
    (
        "committed, suspends its store",
        _committed(state=State.ACCEPTED, next="lane", suspension=suspension()),
        {**COMMITTED, **NO_SLOT, **SUSPENDED, "lane:STORE>rf": 1},
    ),
    (
        "committed in a suspended store",
        _committed_in_a_suspended_store,
        {**COMMITTED, **NO_SLOT, **in_state("refundable"), "lane:STORE>rf": 1},
    ),
    (
        "committed while an earlier refund waits: it keeps its slot",
        _committed_while_an_earlier_refund_waits,
        {**COMMITTED, **in_state("refundable"), **sent(2, "submit_refund")},
    ),
    (
        "committed, pauses its store",
        _committed(next="later", due_in_ms=10 * MINUTE_MS, pause_ms=5 * MINUTE_MS),
        {
            **COMMITTED,
            **in_state("refundable"),
            **LATER,
            "paced>STORE": "now +5 min",
            "rate:STORE": "now +5 min",
        },
    ),
    (
        "committed, lacks a permission",
        _committed(lacking="submit_refund", accepted_endpoints=("get_order",)),
        {
            **COMMITTED,
            **in_state("refundable"),
            **sent(2, "submit_refund"),
            "lacking:STORE.submit_refund": "now",
            "worked:STORE.get_order": "now",
        },
    ),
    (
        "replayed",
        _replayed,
        {
            **SLOT,
            **in_state("refundable", "dead"),
            **sent(2, "submit_refund"),
            "dead>rf": GONE,
            "history:rf": ["refund.accepted", "refund.replayed"],
            "outcomes": ["refund.accepted", "refund.replayed"],
            "refund:rf.attempt": 0,
            "refund:rf.died_in": GONE,
            "refund:rf.facts": {"rounds": 1},
            "refund:rf.failing_since_ms": 0,
            "refund:rf.reason": {},
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
            **in_state("dead", "refunded"),
            "dead>rf": "now",
            "refund:rf.died_in": "refunded",
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
    ("requeued although it has ended", _requeued_although_ended, NO_SLOT),
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
