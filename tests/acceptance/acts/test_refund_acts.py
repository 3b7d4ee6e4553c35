"""What people do to refunds that have not ended: retry, cancel, hold, release."""

from __future__ import annotations

import pytest

from statemachine.flows import State
from tests.support.commands import refunds
from tests.support.lost_replies import lose_reply
from tests.support.rig import AFTER, ANN, BEFORE, STORE_ID, Rig
from worker.operations.acts import refunds as acts
from worker.operations.acts.refusals import CannotAct
from worker.refund.facts import Facts, Lifetime
from worker.refund.outcomes import read
from worker.simulator import Fault


def _waiting(rig: Rig, created: str = AFTER) -> str:
    """A refund that waits for a retry; its first step failed."""
    rig.simulator.script(Fault("status", "get_order", status=503))
    refund_id = rig.request(rig.order(created))
    rig.run_queued()
    assert rig.redis.zscore(rig.key("due"), refund_id)
    return refund_id


def _types(rig: Rig) -> list[str]:
    return [event["type"] for _, event in read(rig.redis, rig.settings.namespace)]


def test_what_waits_for_a_retry_goes_now(rig: Rig) -> None:
    """In order of arrival; an attempt is counted as always."""
    refund_id = _waiting(rig)
    done = refunds(rig, "retry", refund_id, "--by", "ann")
    assert (done.returncode, done.stdout) == (0, f"{refund_id}: goes now\n")
    assert rig.redis.zcard(rig.key("due")) == 0
    rig.run_queued()
    rig.run_until_idle()
    assert rig.load(refund_id).state is State.REFUNDED
    assert "refund.retried" in [line["event"] for line in rig.ledger.history(refund_id)]


def test_what_does_not_wait_for_a_retry_says_so(rig: Rig) -> None:
    """Queued, in its lane, on hold, ended, unknown."""
    queued = rig.request(rig.order(AFTER))
    rig._one("refunds")
    with pytest.raises(CannotAct, match="queued or running"):
        acts.retry(rig.acts, queued, operator=ANN)
    rig.redis.zrem(rig.key("busy", STORE_ID), queued)
    rig.redis.zadd(rig.key("lane", STORE_ID), {queued: 1})
    with pytest.raises(CannotAct, match="in its store's lane"):
        acts.retry(rig.acts, queued, operator=ANN)
    acts.hold(rig.acts, queued, operator=ANN)
    with pytest.raises(CannotAct, match="is on hold"):
        acts.retry(rig.acts, queued, operator=ANN)
    finished = rig.run(rig.order(AFTER)).refund_id
    with pytest.raises(CannotAct, match="its state is refunded"):
        acts.retry(rig.acts, finished, operator=ANN)
    with pytest.raises(CannotAct, match="no such refund"):
        acts.retry(rig.acts, "nobody", operator=ANN)


def test_a_refund_that_changed_nothing_is_called_off(rig: Rig) -> None:
    """It never runs again; upstream is told, and a repeat of its job is a duplicate."""
    refund_id = _waiting(rig)
    order_id = rig.load(refund_id).request.order_id
    done = refunds(rig, "cancel", refund_id, "--by", "ann", "--reason", "a mistake")
    assert (done.returncode, done.stdout) == (0, f"{refund_id}: called off\n")
    rig.let_an_hour_pass()
    rig.run_until_idle()
    refund = rig.load(refund_id)
    assert refund.state is State.CALLED_OFF
    assert refund.resolution == {"by": "ann", "why": "a mistake"}
    assert _types(rig) == ["refund.accepted", "refund.called_off"]
    assert rig.problems() == []
    assert not rig.simulator.orders[order_id].refunds
    with pytest.raises(CannotAct, match="it has ended"):
        acts.cancel(rig.acts, refund_id, operator=ANN)


def test_a_queued_refund_is_called_off_and_its_message_does_nothing(rig: Rig) -> None:
    """The message finds that the refund has ended."""
    refund_id = rig.request(rig.order(AFTER))
    rig._one("refunds")
    acts.cancel(rig.acts, refund_id, operator=ANN)
    rig.run_until_idle()
    assert rig.load(refund_id).state is State.CALLED_OFF
    assert rig.problems() == []


def test_a_refund_with_an_unclear_call_is_not_called_off(rig: Rig) -> None:
    """It may have moved money."""
    rig.simulator.script(Fault("drop", "submit_refund"))
    refund_id = rig.request(rig.order(AFTER))
    rig.run_queued()
    with pytest.raises(CannotAct, match="may have changed something at Wix"):
        acts.cancel(rig.acts, refund_id, operator=ANN)
    assert rig.load(refund_id).state is State.REFUNDABLE


def test_a_refund_whose_fulfillments_were_deleted_is_not_called_off(rig: Rig) -> None:
    """Also not after a replay, which forgets what was deleted."""
    refund_id = rig.request(rig.order(BEFORE, fulfillments=1))
    for _ in range(9):
        rig.run_one_step()
        rig.make_due()
        if rig.load(refund_id).state is State.UNFULFILLED:
            break
    assert rig.load(refund_id).facts.deleted
    for facts in (rig.load(refund_id).facts, rig.load(refund_id).facts.forget(Lifetime.REPLAY)):
        rig.redis.hset(rig.key("refund", refund_id), "facts", facts.to_json())
        with pytest.raises(CannotAct, match="fulfillments of the order were deleted"):
            acts.cancel(rig.acts, refund_id, operator=ANN)


def test_a_refund_that_a_worker_runs_is_not_called_off(rig: Rig) -> None:
    """Its step may make a call at any moment."""
    found: list[str] = []

    def cancel() -> None:
        with pytest.raises(CannotAct) as refusal:
            acts.cancel(rig.acts, refund_id, operator=ANN)
        found.append(str(refusal.value))

    rig.at["after_claim"] = cancel
    refund_id = rig.request(rig.order(AFTER))
    rig.run_one_step()
    assert found
    assert "a worker is running a step of it" in found[0]


def test_nothing_is_called_off_after_the_server_may_have_forgotten_a_call(rig: Rig) -> None:
    """Redis was restarted: an intent may be lost."""
    refund_id = _waiting(rig)
    rig.redis.hset(rig.key("clock"), "run_id", "another server")
    with pytest.raises(CannotAct, match="may have changed something"):
        acts.cancel(rig.acts, refund_id, operator=ANN)


def test_a_frozen_worker_cannot_act_on_what_was_called_off(rig: Rig) -> None:
    """Its intent finds no lease, so it makes no call."""
    refund_id = rig.request(rig.order(AFTER))
    rig.run_one_step()

    def freeze_and_cancel() -> None:
        rig.redis.zrem(rig.key("workers"), rig.broker.broker_id)
        acts.cancel(rig.acts, refund_id, operator=ANN)

    rig.at["before_intent"] = freeze_and_cancel
    rig.run_one_step()
    order = rig.simulator.orders[rig.load(refund_id).request.order_id]
    assert (rig.load(refund_id).state, order.refunds) == (State.CALLED_OFF, [])


@pytest.mark.parametrize("where", ["due", "lane", "queued"])
def test_a_refund_is_held_where_it_is_and_released(rig: Rig, where: str) -> None:
    """It is in one place only, no attempt is spent, and it goes on afterwards."""
    refund_id = _waiting(rig) if where == "due" else rig.request(rig.order(AFTER))
    if where != "due":
        rig._one("refunds")
    if where == "lane":
        rig.redis.delete(rig.key("steps"), rig.key("steps.msgs"))
        rig.redis.zrem(rig.key("busy", STORE_ID), refund_id)
        rig.redis.zadd(rig.key("lane", STORE_ID), {refund_id: 1})
    attempts = rig.load(refund_id).attempts
    assert acts.hold(rig.acts, refund_id, operator=ANN) == "on hold"
    assert rig.redis.zrange(rig.key("on_hold"), 0, -1) == [refund_id]
    assert rig.problems() == []
    rig.let_an_hour_pass()
    rig.run_until_idle()
    refund = rig.load(refund_id)
    assert (refund.state, refund.attempts) == (State.ACCEPTED, attempts)
    assert refund.hold == {"by": "ann", "why": "a test"}
    assert rig.problems() == []
    with pytest.raises(CannotAct, match="is on hold already"):
        acts.hold(rig.acts, refund_id, operator=ANN)
    acts.release(rig.acts, refund_id, operator=ANN)
    rig.run_until_idle()
    assert rig.load(refund_id).state is State.REFUNDED
    assert rig.problems() == []
    with pytest.raises(CannotAct, match="is not on hold"):
        acts.release(rig.acts, refund_id, operator=ANN)


@pytest.mark.parametrize("ends", ["step", "retry"])
def test_a_running_step_finishes_before_the_hold(rig: Rig, ends: str) -> None:
    """Whatever it ends with, the refund stops after it."""
    texts: list[str] = []
    refund_id = rig.request(rig.order(AFTER))

    def hold() -> None:
        rig.at.clear()
        texts.append(acts.hold(rig.acts, refund_id, operator=ANN))

    if ends == "retry":
        rig.simulator.script(Fault("status", "get_order", status=503))
    rig.at["after_claim"] = hold
    rig.run_until_idle()
    assert texts == ["on hold after the step that is running"]
    state = State.ACCEPTED if ends == "retry" else State.REFUNDABLE
    assert rig.load(refund_id).state is state
    assert rig.redis.zrange(rig.key("on_hold"), 0, -1) == [refund_id]
    assert rig.problems() == []
    acts.release(rig.acts, refund_id, operator=ANN)
    rig.run_until_idle()
    assert rig.load(refund_id).state is State.REFUNDED


def test_a_refund_on_hold_does_not_hold_up_others(rig: Rig) -> None:
    """It has no slot of its store."""
    held = [rig.request(rig.order(AFTER)) for _ in range(rig.settings.lane_width + 2)]
    while rig._waiting("refunds"):
        rig._one("refunds")
    for refund_id in held:
        acts.hold(rig.acts, refund_id, operator=ANN)
    other = rig.run(rig.order(AFTER))
    assert other.state is State.REFUNDED
    assert {rig.load(each).state for each in held} == {State.ACCEPTED}


def test_a_hold_ends_with_the_refund(rig: Rig) -> None:
    """What is called off or disconnected on hold is in no list of what waits."""
    refund_id = _waiting(rig)
    acts.hold(rig.acts, refund_id, operator=ANN)
    acts.cancel(rig.acts, refund_id, operator=ANN)
    assert rig.redis.zcard(rig.key("on_hold")) == 0
    assert rig.problems() == []


def test_an_older_worker_leaves_a_refund_on_hold_alone(rig: Rig) -> None:
    """For it, the record needs a newer version; it puts it back into its lane at most."""
    refund_id = _waiting(rig)
    acts.hold(rig.acts, refund_id, operator=ANN)
    assert rig.redis.hget(rig.key("refund", refund_id), "schema") == "2"
    rig.redis.zadd(rig.key("lane", STORE_ID), {refund_id: 1})
    rig.run(rig.order(AFTER))
    assert rig.redis.zcard(rig.key("lane", STORE_ID)) == 0
    assert rig.problems() == []
    acts.release(rig.acts, refund_id, operator=ANN)
    assert rig.redis.hget(rig.key("refund", refund_id), "schema") == "1"


@pytest.mark.parametrize("script", ["retry", "call_off", "hold"])
def test_an_act_whose_reply_was_lost_is_done_once(rig: Rig, script: str) -> None:
    """One line in the history, one entry, and no refusal."""
    refund_id = _waiting(rig)
    lose_reply(rig.acts._scripts, script)
    act = {"retry": acts.retry, "call_off": acts.cancel, "hold": acts.hold}[script]
    act(rig.acts, refund_id, operator=ANN)
    assert rig.ledger.audit_log.count() == 1
    assert rig.problems() == []


def test_the_audit_repairs_a_refund_that_is_on_hold_twice(rig: Rig) -> None:
    """A hold without its place, or in a second place, is put right."""
    refund_id = _waiting(rig)
    acts.hold(rig.acts, refund_id, operator=ANN)
    for place in ("on_hold", "due"):
        if place == "due":
            rig.redis.zadd(rig.key("due"), {refund_id: 10**14})
        else:
            rig.redis.zrem(rig.key("on_hold"), refund_id)
        assert [problem.refund_id for problem in rig.problems()] == [refund_id]
        assert refunds(rig, "audit", "--repair").returncode == 1
        assert rig.problems() == []
        assert rig.redis.zscore(rig.key("on_hold"), refund_id)


@pytest.mark.parametrize(
    ("facts", "text"),
    [
        (Facts(wix_refund_id="r-1"), "Wix has accepted our refund"),
        (Facts(void_ids=("p-1",)), "payments of the order were voided"),
        (Facts(deleted=("f-1",)), "fulfillments of the order were deleted"),
        (Facts(vanished=("f-1",)), "fulfillments of the order were deleted"),
        (Facts(unclear_sends=1), "may have changed something at Wix"),
        (Facts(manual_done=True), "a person has paid a part of it"),
    ],
)
def test_whatever_was_changed_at_wix_forbids_to_call_it_off(
    rig: Rig, facts: Facts, text: str
) -> None:
    """Each fact that says so is asked."""
    refund_id = _waiting(rig)
    rig.redis.hset(rig.key("refund", refund_id), "facts", facts.to_json())
    with pytest.raises(CannotAct, match=text):
        acts.cancel(rig.acts, refund_id, operator=ANN)
    assert rig.load(refund_id).state is State.ACCEPTED
