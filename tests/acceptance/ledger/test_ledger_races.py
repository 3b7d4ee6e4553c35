"""Two runs of one message, and what may happen between them: the scripts on a real server."""

from __future__ import annotations

from typing import Any

import pytest

from statemachine.flows import State, Transition
from tests.support.lost_replies import lose_reply
from tests.support.rig import AFTER, ANN, STORE_ID, Rig
from worker.ledger.audit_log import Operator
from worker.ledger.claims import StepCommit
from worker.operations import dead_letters
from worker.refund.record import Refund
from worker.scheduler.requeue import requeue_lost
from worker.simulator import Fault
from worker.simulator.world.orders import Order

BOB = Operator("bob", "a test")

SUBMIT = Transition.SUBMIT_REFUND


def _hold_back(rig: Rig, held_because: str) -> None:
    """Suspend the store or use up its rate, as the step of another refund would."""
    if held_because == "suspended":
        why = {"epoch": "0", "reason": "{}", "endpoint": "", "since_ms": 1, "probes": 0}
        rig.redis.hset(rig.key("suspended", STORE_ID), mapping=why)
    else:
        now_ms = int(rig.redis.time()[0]) * 1000
        rig.redis.set(rig.key("rate", STORE_ID), now_ms + 60_000)


def _go_on(rig: Rig, held_because: str) -> None:
    """Resume the store, or let time pay off its calls."""
    if held_because == "suspended":
        assert rig.stores.resume(STORE_ID, by="ann")
    else:
        rig.redis.delete(rig.key("rate", STORE_ID))
        rig.redis.zadd(rig.key("paced"), {STORE_ID: 1}, xx=True)
        rig.ledger.wake_due("rig", lead_ms=1)


def _ready_to_submit(rig: Rig) -> tuple[str, Order]:
    """Return a refund whose next step moves money, and its order."""
    order = rig.order(AFTER)
    refund_id = rig.request(order)
    rig.run_one_step()
    assert rig.load(refund_id).state is State.REFUNDABLE
    return refund_id, order


@pytest.mark.parametrize("held_because", ["suspended", "paced"])
def test_a_step_that_comes_again_into_a_held_lane_frees_its_order(
    rig: Rig, held_because: str
) -> None:
    """Its first run was not committed; the order must not wait until the lease expires."""
    refund_id, order = _ready_to_submit(rig)
    [message_id] = rig.redis.lrange(rig.key("steps"), 0, -1)
    first = rig.delivery(message_id=message_id, execution="one")
    again = rig.delivery(message_id=message_id, execution="two")
    assert rig.ledger.claim(refund_id, SUBMIT, first).status == "claimed"
    _hold_back(rig, held_because)
    assert rig.ledger.claim(refund_id, SUBMIT, again).status == held_because
    rig.redis.delete(rig.key("steps"), rig.key("steps.msgs"))
    _go_on(rig, held_because)
    rig.run_until_idle()
    assert requeue_lost(rig.ledger) == 0
    assert rig.load(refund_id).state is State.REFUNDED
    assert rig.run(order).state is State.REJECTED
    assert len(order.refunds) == 1


@pytest.mark.parametrize("held_because", ["suspended", "paced"])
def test_releasing_the_order_permits_no_second_refund(rig: Rig, held_because: str) -> None:
    """If the first run is still alive, it can neither call Wix nor commit.

    What it may have sent a moment ago is looked for during the whole settle delay.
    """
    refund_id, _ = _ready_to_submit(rig)
    first = rig.delivery(execution="one")
    held = rig.ledger.claim(refund_id, SUBMIT, first)
    assert held.refund is not None
    assert rig.ledger.write_intent(held, held.refund, first).status == "written"
    _hold_back(rig, held_because)
    again = rig.ledger.claim(refund_id, SUBMIT, rig.delivery(execution="two"))
    assert again.status == held_because
    assert rig.ledger.write_intent(held, held.refund, first).status == "lost"
    done = StepCommit(state=State.REFUND_SUBMITTED, next="now")
    assert rig.ledger.commit(refund_id, held, done, first) == ""
    assert rig.load(refund_id).intent_at_ms >= held.now_ms
    rig.redis.hincrby(rig.key("refund", refund_id), "intent_at_ms", -3_600_000)
    _go_on(rig, held_because)
    later = rig.ledger.claim(refund_id, SUBMIT, rig.delivery(message_id="later"))
    assert later.status == "claimed"
    assert later.refund is not None
    assert later.refund.intent_at_ms == later.now_ms


@pytest.mark.parametrize("held_because", ["suspended", "paced"])
def test_a_lease_of_another_refund_of_the_order_is_not_released(
    rig: Rig, held_because: str
) -> None:
    """A refund may only release its own lease."""
    refund_id, order = _ready_to_submit(rig)
    other = rig.request(order)
    rig._one("refunds")
    holds = rig.delivery(message_id="same", execution="one")
    held = rig.ledger.claim(refund_id, SUBMIT, holds)
    assert held.refund is not None
    _hold_back(rig, held_because)
    mine = rig.delivery(message_id="same", execution="two")
    assert rig.ledger.claim(other, Transition.ASSESS_ORDER, mine).status == held_because
    assert rig.ledger.write_intent(held, held.refund, holds).status == "written"


def test_an_old_message_of_a_busy_order_leaves_its_refund_in_one_place(rig: Rig) -> None:
    """After a replay the refund was in the lane; now it is due when the order may be free."""
    refund_id, order = _ready_to_submit(rig)
    rig.redis.zrem(rig.key("busy", STORE_ID), refund_id)
    rig.redis.zadd(rig.key("lane", STORE_ID), {refund_id: 1})
    width = rig.settings.lane_width
    rig.redis.zadd(rig.key("busy", STORE_ID), {f"another-{n}": 1 for n in range(width)})
    other = rig.request(order)
    rig._one("refunds")
    holds = rig.delivery(message_id="holds")
    assert rig.ledger.claim(other, Transition.ASSESS_ORDER, holds).status == "claimed"
    assert rig.ledger.claim(refund_id, SUBMIT, rig.delivery(message_id="old")).status == "busy"
    assert rig.problems() == []


def test_a_message_that_is_handed_out_twice_goes_to_the_worker_that_runs_it(rig: Rig) -> None:
    """A server that forgot hands out again what another worker runs: that one may yet need it."""
    refund_id = rig.request(rig.order(AFTER))
    rig._one("refunds")
    [message_id] = rig.redis.lrange(rig.key("steps"), 0, -1)
    runs = rig.delivery("another", message_id=message_id)
    rig.redis.zadd(rig.key("workers"), {"another": rig.redis.time()[0] * 1000})
    assert rig.ledger.claim(refund_id, Transition.ASSESS_ORDER, runs).status == "claimed"
    rig._one("steps")  # here it is busy
    assert rig.redis.lrange(rig.key("steps", "inflight", "another"), 0, -1) == [message_id]
    assert rig.problems() == []
    # The other worker cannot commit, and ends: its message is handed out again.
    rig.redis.zadd(rig.key("workers"), {"another": 1})
    assert rig.broker.reclaim(1_000) == ["another"]
    rig.run_until_idle()
    assert rig.load(refund_id).state is State.REFUNDED


def _dies(rig: Rig, order: Order) -> Refund:
    rig.simulator.script(Fault("status", "submit_refund", status=400, code="X"))
    refund = rig.run(order)
    assert refund.state is State.DEAD
    return refund


class SlowToReplay:
    """A ledger on which another operator replays the same dead letter first."""

    def __init__(self, rig: Rig) -> None:
        self._rig = rig

    def replay(self, refund: Refund, *arguments: Any, **more: Any) -> bool:
        """Replay as the other operator; that call is lost, and the refund is dead again."""
        rig = self._rig
        assert rig.replay(refund.refund_id, operator="ann")
        rig.simulator.script(Fault("drop", "submit_refund"))
        rig.run_queued()
        rig.let_an_hour_pass()
        rig.simulator.script(Fault("status", "submit_refund", status=400, code="X"))
        rig.run_until_idle()
        return rig.ledger.replay(refund, *arguments, **more)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._rig.ledger, name)


def test_a_replay_writes_nothing_onto_what_was_replayed_meanwhile(rig: Rig) -> None:
    """Otherwise a call sent since then would be forgotten, and sent again without a look."""
    refund = _dies(rig, rig.order(AFTER))
    slow: Any = SlowToReplay(rig)
    rig.acts.ledger = slow
    with pytest.raises(dead_letters.CannotReplay, match="changed in the meantime"):
        dead_letters.replay(rig.acts, refund.refund_id, operator=BOB)
    died_again = rig.load(refund.refund_id)
    assert died_again.state is State.DEAD
    assert died_again.facts.unclear_sends == 1
    rig.acts.ledger = rig.ledger
    dead_letters.replay(rig.acts, refund.refund_id, operator=BOB, not_done=True)
    rig.run_until_idle()
    assert rig.load(refund.refund_id).state is State.REFUNDED


def test_a_replay_compares_what_it_has_read(rig: Rig) -> None:
    """Another operator may replay between its read and its write."""
    refund = _dies(rig, rig.order(AFTER))
    script = rig.ledger._scripts["replay"]

    def later(**arguments: Any) -> Any:
        # The call is repeated with a new entry of the audit log, because ann's came first.
        if rig.ledger._scripts["replay"] is not script:
            rig.ledger._scripts["replay"] = script
            rig.simulator.script(Fault("status", "submit_refund", status=400, code="X"))
            assert rig.replay(refund.refund_id, operator="ann")
            rig.run_until_idle()
        return script(**arguments)

    rig.ledger._scripts["replay"] = later  # type: ignore[assignment]  # the script is replaced
    assert not rig.replay(refund.refund_id, operator="bob")
    assert rig.load(refund.refund_id).state is State.DEAD


def test_a_replay_whose_reply_was_lost_succeeds(rig: Rig) -> None:
    """The script runs again; an error would make the operator look for the dead letter."""
    refund = _dies(rig, rig.order(AFTER))
    lose_reply(rig.ledger._scripts, "replay")
    dead_letters.replay(rig.acts, refund.refund_id, operator=ANN)
    events = [line["event"] for line in rig.ledger.history(refund.refund_id)]
    assert events.count("refund.replayed") == 1
    rig.run_until_idle()
    assert rig.load(refund.refund_id).state is State.REFUNDED


@pytest.mark.parametrize("changed", ["fence", "held_by", "lease", "token"])
def test_a_commit_needs_its_fence_its_token_and_its_lease(rig: Rig, changed: str) -> None:
    """Each of them alone shows that another run took the refund over: nothing is written."""
    refund_id, order = _ready_to_submit(rig)
    who = rig.delivery()
    claim = rig.ledger.claim(refund_id, SUBMIT, who)
    done = StepCommit(state=State.REFUND_SUBMITTED, next="now", history=({"event": "step.done"},))
    record, other = rig.key("refund", refund_id), "other|m|e"
    if changed == "fence":
        rig.redis.hincrby(record, "fence", 1)
    elif changed == "held_by":
        rig.redis.hset(record, "held_by", other)
    elif changed == "lease":
        rig.redis.set(rig.key("lease", STORE_ID, order.id), other)
    else:
        who = rig.delivery(execution="another")
    before, lines = rig.redis.hgetall(record), rig.ledger.history(refund_id)
    assert rig.ledger.commit(refund_id, claim, done, who) == ""
    assert (rig.redis.hgetall(record), rig.ledger.history(refund_id)) == (before, lines)


def test_a_late_commit_of_an_earlier_claim_writes_nothing(rig: Rig) -> None:
    """The same run claimed the refund again: only the newest claim's fence counts."""
    refund_id, _ = _ready_to_submit(rig)
    who = rig.delivery()
    first = rig.ledger.claim(refund_id, SUBMIT, who)
    rig.redis.zadd(rig.key("workers"), {who.worker_id: 1})
    rig.ledger.claim(refund_id, SUBMIT, rig.delivery("w2"))
    rig.redis.zadd(rig.key("workers"), {"w2": 1})
    second = rig.ledger.claim(refund_id, SUBMIT, who)
    assert second.fence == first.fence + 2
    done = StepCommit(state=State.REFUND_SUBMITTED, next="now")
    assert rig.ledger.commit(refund_id, first, done, who) == ""
    assert rig.ledger.commit(refund_id, second, done, who) == "committed"
