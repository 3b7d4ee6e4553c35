"""What was handed over is never lost, and never done twice, whatever fails."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from typing import Any

import pytest
import redis

from statemachine.flows import State, Transition
from tests.support.rig import AFTER, STORE_ID, Rig
from worker.ledger.claims import StepCommit
from worker.queue.broker import INTAKE, STEPS
from worker.scheduler.requeue import requeue_lost
from worker.simulator.world.orders import Order

DEAD_AFTER_MS = 10_000


@pytest.fixture
def chained(rig: Rig) -> Rig:
    """A rig that hands over, in which no other worker waits for work."""
    rig.redis.delete(rig.key("idle"))
    rig.broker.hands_over = rig.next_step_is_here = True
    rig.simulator.set_flags(refund_answer="settled")
    return rig


def _accepted(rig: Rig, order: Order | None = None) -> str:
    refund_id = rig.request(order or rig.order(AFTER), f"rf-{uuid.uuid4()}")
    rig._one(INTAKE)
    return refund_id


def _handed(rig: Rig) -> dict[str, str]:
    found: dict[str, str] = rig.redis.hgetall(rig.key("handed", rig.broker.broker_id))
    return found


def _let_it_age(rig: Rig) -> None:
    """Make what was handed over older than anything that can be on its way."""
    for execution, value in _handed(rig).items():
        since, token = value.split("|", 1)
        aged = f"{int(since) - 2 * DEAD_AFTER_MS}|{token}"
        rig.redis.hset(rig.key("handed", rig.broker.broker_id), execution, aged)


def _fails(rig: Rig, script: str, nth: int, *, executed: bool) -> Callable[[], None]:
    """Let the *nth* and all later runs of a script fail; returns what ends that."""
    real, seen = rig.ledger._scripts[script], [0]

    def run(**arguments: Any) -> Any:
        seen[0] += 1
        if seen[0] < nth:
            return real(**arguments)
        if executed:
            real(**arguments)
        raise redis.ConnectionError("gone")

    rig.ledger._scripts[script] = run  # type: ignore[assignment]  # the script is replaced

    def repaired() -> None:
        rig.ledger._scripts[script] = real

    return repaired


@pytest.mark.parametrize("executed", [False, True])
@pytest.mark.parametrize("nth", [1, 2, 3])
def test_a_commit_that_gets_no_answer(chained: Rig, nth: int, *, executed: bool) -> None:
    """Nobody knows whether it was carried out, nor what it handed over."""
    order = chained.order(AFTER)
    refund_id = _accepted(chained, order)
    repair = _fails(chained, "commit", nth, executed=executed)
    chained._one(STEPS)
    repair()
    assert chained.broker.executions == set()
    _let_it_age(chained)
    chained.app.scheduler.give_back()
    chained.run_until_idle()
    for _ in range(4):
        requeue_lost(chained.ledger)
        chained.run_until_idle()
    assert chained.load(refund_id).state is State.REFUNDED
    assert len(order.refunds) == 1
    assert _handed(chained) == {}
    assert chained.problems() == []


def test_a_worker_that_was_silent_gives_back_what_it_was_handed(chained: Rig) -> None:
    """After a failover, say: it seemed dead, its execution has ended, and it beats again."""
    order = chained.order(AFTER)
    refund_id = _accepted(chained, order)
    repair = _fails(chained, "commit", 2, executed=False)
    chained._one(STEPS)
    repair()
    seen_ms = chained.redis.zscore(chained.key("workers"), chained.broker.broker_id)
    last_ms = seen_ms - 2 * DEAD_AFTER_MS
    chained.redis.zadd(chained.key("workers"), {chained.broker.broker_id: last_ms})
    chained.broker.reclaim(DEAD_AFTER_MS)
    requeue_lost(chained.ledger)
    assert chained.redis.llen(chained.key("steps")) == 1
    chained.broker.beat()
    # The order's lease is that of a living worker, so the message is dropped.
    chained._one(STEPS)
    assert chained.load(refund_id).state is State.REFUNDABLE
    _let_it_age(chained)
    chained.app.scheduler.give_back()
    chained.run_until_idle()
    assert chained.load(refund_id).state is State.REFUNDED
    assert len(order.refunds) == 1
    assert _handed(chained) == {}
    assert chained.problems() == []


def test_what_a_thread_runs_is_not_given_back(chained: Rig) -> None:
    """However old it is: the worker knows its execution."""
    seen: list[int] = []

    def look() -> None:
        if _handed(chained):
            _let_it_age(chained)
            chained.app.scheduler.give_back()
            seen.append(len(_handed(chained)))

    chained.at["after_claim"] = look
    refund_id = _accepted(chained)
    chained._one(STEPS)
    assert seen == [1]
    assert chained.load(refund_id).state is State.REFUNDED


def test_a_worker_whose_thread_runs_on_does_not_leave(chained: Rig) -> None:
    """Its lease holds until it is silent, as that of a step that has a message."""
    _accepted(chained)
    worker_id = chained.broker.broker_id
    left: list[float | None] = []

    def stop() -> None:
        if _handed(chained) and not left:
            chained.app.scheduler.give_back(0)
            chained.broker.leave()
            left.append(chained.redis.zscore(chained.key("workers"), worker_id))

    chained.at["after_claim"] = stop
    chained._one(STEPS)
    assert left[0] is not None
    chained.broker.leave()
    assert chained.redis.zscore(chained.key("workers"), worker_id) is None


def test_what_may_be_on_its_way_is_not_given_back(chained: Rig) -> None:
    """The worker was asked what it runs a moment before the commit was carried out."""
    _accepted(chained)
    _fails(chained, "commit", 1, executed=True)
    chained._one(STEPS)
    chained.app.scheduler.give_back()
    assert len(_handed(chained)) == 1
    assert chained.redis.llen(chained.key("steps")) == 0
    assert chained.problems() == []


def test_an_execution_whose_refund_was_given_back_changes_nothing(chained: Rig) -> None:
    """Were it still running, it could neither call Wix nor commit."""
    order = chained.order(AFTER)
    refund_id = _accepted(chained, order)
    given_back: list[int] = []

    def give_back() -> None:
        if _handed(chained) and not given_back:
            given_back.append(1)
            _let_it_age(chained)
            running = chained.broker.executions.copy()
            chained.broker.executions.clear()
            chained.app.scheduler.give_back()
            chained.broker.executions.update(running)

    chained.at["before_intent"] = give_back
    chained._one(STEPS)
    assert given_back == [1]
    assert order.refunds == []
    chained.run_until_idle()
    assert chained.load(refund_id).state is State.REFUNDED
    assert len(order.refunds) == 1


def test_a_worker_that_died_leaves_it_to_the_others(chained: Rig) -> None:
    """Its leases are those of a dead worker."""
    order = chained.order(AFTER)
    refund_id = _accepted(chained, order)
    repair = _fails(chained, "commit", 1, executed=True)
    chained._one(STEPS)
    repair()
    assert requeue_lost(chained.ledger) == 0
    seen_ms = chained.redis.zscore(chained.key("workers"), chained.broker.broker_id)
    last_ms = seen_ms - 2 * DEAD_AFTER_MS
    chained.redis.zadd(chained.key("workers"), {chained.broker.broker_id: last_ms})
    chained.broker.reclaim(DEAD_AFTER_MS)
    assert requeue_lost(chained.ledger) == 1
    dead, chained.broker.broker_id = chained.broker.broker_id, "another worker"
    chained.appear()
    chained.run_until_idle()
    assert chained.load(refund_id).state is State.REFUNDED
    assert len(order.refunds) == 1
    chained.redis.zadd(chained.key("workers"), {dead: last_ms - 3_600_000})
    chained.broker.reclaim(DEAD_AFTER_MS)
    assert not chained.redis.exists(chained.key("handed", dead))


def test_a_handed_step_that_fails_by_a_bug_becomes_a_letter(chained: Rig) -> None:
    """As one with a message would; a person can replay it."""
    chained.may_have_bugs = True
    refund_id = _accepted(chained)
    real = chained.broker.get_actor("submit_refund").fn

    def broken(_: str) -> None:
        raise KeyError("a bug outside of the step")

    chained.broker.get_actor("submit_refund").fn = broken
    chained._one(STEPS)
    chained.broker.get_actor("submit_refund").fn = real
    [(name, letter)] = chained.broker.quarantined().items()
    assert (name, letter["reason"], letter["intact"]) == (refund_id, "worker_error", True)
    assert "submit_refund" in letter["message"]
    _let_it_age(chained)
    chained.app.scheduler.give_back()
    chained.run_until_idle()
    assert chained.load(refund_id).state is State.REFUNDED


def test_an_order_that_another_worker_holds_is_not_handed_over(chained: Rig) -> None:
    """The refund of it waits half a second, as if it had been fetched."""
    order = chained.order(AFTER)
    held, first, second = _accepted(chained, order), _accepted(chained), _accepted(chained, order)
    other = chained.delivery("another worker", message_id="m-1")
    chained.redis.zadd(chained.key("workers"), {"another worker": 10**14})
    chained.broker.fetch(STEPS, wanted=1, known=[], block_ms=1)
    claim = chained.ledger.claim(held, Transition.ASSESS_ORDER, other)
    assert claim.status == "claimed"
    for _ in range(4):
        chained._one(STEPS)
    assert chained.load(first).state is State.REFUNDED
    assert chained.redis.zscore(chained.key("due"), second)
    assert _handed(chained) == {}
    done = StepCommit(state=State.REJECTED, next="end")
    assert chained.ledger.commit(held, claim, done, other)


@pytest.mark.parametrize("why", ["suspended", "paused", "paced", "on_hold"])
def test_a_refund_that_must_not_start_is_not_handed_over(chained: Rig, why: str) -> None:
    """It goes back into its lane, or is put on hold, and no attempt is spent."""
    refund_id = _accepted(chained)

    def stop() -> None:
        if why == "suspended":
            chained.redis.hset(chained.key("suspended", STORE_ID), mapping={"epoch": "0"})
        elif why == "paused":
            chained.redis.hset(chained.key("paused"), STORE_ID, "{}")
        elif why == "paced":
            chained.redis.set(chained.key("rate", STORE_ID), 10**14)
        else:
            chained.redis.hset(chained.key("refund", refund_id), "hold", "{}")

    chained.at["before_commit"] = stop
    chained._one(STEPS)
    refund = chained.load(refund_id)
    assert (refund.state, refund.attempts) == (State.REFUNDABLE, 1)
    assert _handed(chained) == {}
    place = "on_hold" if why == "on_hold" else f"lane:{STORE_ID}"
    assert chained.redis.zscore(chained.key(place), refund_id)
    assert chained.problems() == []
