"""What each script changes in Redis for one refund: all of it, and nothing else."""

from __future__ import annotations

from typing import Any

import pytest

from statemachine.flows import State, Transition
from tests.support.keys import GONE
from tests.support.rig import STORE_ID, Rig
from tests.support.script_scenes import (
    ACCEPTED,
    CLAIMED,
    COMMITTED,
    DEAD,
    DEAD_WORKER,
    LATER,
    MINUTE_MS,
    NO_SLOT,
    ORDER_ID,
    SLOT,
    SUSPENDED,
    Changes,
    Scene,
    accept,
    changes,
    claim,
    commit,
    in_state,
    listed,
    request,
    sent,
    suspension,
)

EVENT = {"type": "t", "step": "s", "data": "{}"}


def _fill_the_lane(rig: Rig) -> None:
    """Let other refunds of the store use all its slots."""
    for n in range(rig.settings.lane_width):
        accept(rig, f"rf-{n}", f"67668940-527d-4465-94c6-{n:012d}")


def _accepted_for_later(rig: Rig) -> Changes:
    due_at_ms = rig.redis.time()[0] * 1000 + 10 * MINUTE_MS
    who = rig.delivery()._replace(due_at_ms=due_at_ms)
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


#: The situation, and what changes.
CASES: list[tuple[str, Scene, Changes]] = [
    (
        "accepted",
        lambda rig: changes(rig, lambda: accept(rig)),
        {**ACCEPTED, **SLOT, **sent(1, "assess_order"), "busy_stores>STORE": True},
    ),
    (
        "accepted for later",
        _accepted_for_later,
        {**ACCEPTED, "due>rf": "now +10 min"}
        | {f"refund:rf.{name}": "now +10 min" for name in ("due_at_ms", "starts_at_ms")},
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
        {**CLAIMED, **SLOT, "busy_stores>STORE": True, "lane:STORE>rf": GONE},
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
            **listed("x"),
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
        {**COMMITTED, **NO_SLOT, **in_state("rejected"), "refund:rf.reason": {"reason": "x"}}
        | {"outcomes": ["refund.accepted", "t"]},
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
        _committed(next="later", due_in_ms=10 * MINUTE_MS, throttled=True, pause_ms=5 * MINUTE_MS),
        {
            **COMMITTED,
            **in_state("refundable"),
            **LATER,
            "rate:STORE": "now +5 min",
            "throttled:STORE.from_ms": "now +5 min",
            "throttled:STORE.pauses": 1,
            "throttled:STORE.share": "0.5",
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
]


@pytest.mark.parametrize(
    ("scene", "expected"), [case[1:] for case in CASES], ids=[case[0] for case in CASES]
)
def test_a_script_changes_exactly_this(rig: Rig, scene: Scene, expected: Changes) -> None:
    """A write that is missing, or one too many, would be noticed much later, or never."""
    assert scene(rig) == expected
