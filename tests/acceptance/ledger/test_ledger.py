"""Leases, fencing, lanes and due times: the scripts on a real server."""

from __future__ import annotations

import pytest

from statemachine.flows import State, Transition
from tests.support.rig import AFTER, BEFORE, STORE_ID, Rig
from worker.ledger.claims import Claim, StepCommit
from worker.queue.delivery import Delivery
from worker.refund.request import parse_request
from worker.scheduler.requeue import requeue_lost

ORDER_ID = "67668940-527d-4465-94c6-5475d8c7a412"
ASSESS = Transition.ASSESS_ORDER


def _accept(rig: Rig, refund_id: str, order_id: str = ORDER_ID) -> None:
    job = {"refund_id": refund_id, "store_id": STORE_ID, "order_id": order_id}
    assert rig.ledger.accept(parse_request(job), rig.delivery()) == "accepted"


def _claim(rig: Rig, refund_id: str, who: Delivery, transition: Transition = ASSESS) -> Claim:
    return rig.ledger.claim(refund_id, transition, who)


def _alive(rig: Rig, worker_id: str) -> None:
    now_ms = rig.redis.time()[0] * 1000
    rig.redis.zadd(rig.key("workers"), {worker_id: now_ms + 60_000})


def _to_refundable(rig: Rig, refund_id: str) -> None:
    who = rig.delivery(message_id="first")
    claim = _claim(rig, refund_id, who)
    commit = StepCommit(state=State.REFUNDABLE, next="now")
    assert rig.ledger.commit(refund_id, claim, commit, who)


def test_two_workers_never_hold_one_order(rig: Rig) -> None:
    """Nor do two refunds of one order: the second comes back later, without an attempt."""
    _accept(rig, "rf-1")
    _accept(rig, "rf-2")
    _alive(rig, "a")
    _alive(rig, "b")
    assert _claim(rig, "rf-1", rig.delivery("a")).status == "claimed"
    assert _claim(rig, "rf-1", rig.delivery("b")).status == "busy"
    assert _claim(rig, "rf-2", rig.delivery("b")).status == "busy"
    assert rig.load("rf-2").attempts == 0
    assert rig.redis.zscore(rig.key("due"), "rf-2") is not None


def test_a_lease_dies_with_its_workers_heartbeat(rig: Rig) -> None:
    """The worker that lost it cannot write any more."""
    _accept(rig, "rf-1")
    _alive(rig, "a")
    first = _claim(rig, "rf-1", rig.delivery("a"))
    rig.redis.zadd(rig.key("workers"), {"a": 1})
    _alive(rig, "b")
    second = _claim(rig, "rf-1", rig.delivery("b"))
    assert second.status == "claimed"
    assert second.fence > first.fence
    commit = StepCommit(state=State.REFUNDABLE, next="now")
    assert not rig.ledger.commit("rf-1", first, commit, rig.delivery("a"))
    assert rig.load("rf-1").state is State.ACCEPTED
    assert rig.ledger.commit("rf-1", second, commit, rig.delivery("b"))
    assert rig.load("rf-1").state is State.REFUNDABLE


def test_a_repeated_claim_of_the_same_run_changes_nothing(rig: Rig) -> None:
    """The reply may be lost, and the client repeats the script."""
    _accept(rig, "rf-1")
    _to_refundable(rig, "rf-1")
    who = rig.delivery()
    first = _claim(rig, "rf-1", who, Transition.SUBMIT_REFUND)
    again = _claim(rig, "rf-1", who, Transition.SUBMIT_REFUND)
    assert (first.fence, first.refund) == (again.fence, again.refund)
    assert again.refund is not None
    assert again.refund.intent_at_ms == 0


def test_another_run_of_the_same_message_finds_the_open_intent(rig: Rig) -> None:
    """The effect of the first run is unknown, so the second must look."""
    _accept(rig, "rf-1")
    _to_refundable(rig, "rf-1")
    who = rig.delivery(execution="one")
    first = _claim(rig, "rf-1", who, Transition.SUBMIT_REFUND)
    assert first.refund is not None
    assert rig.ledger.write_intent(first, first.refund, who).status == "written"
    again = _claim(rig, "rf-1", rig.delivery(execution="two"), Transition.SUBMIT_REFUND)
    assert again.status == "claimed"
    assert again.refund is not None
    assert again.refund.intent_at_ms == again.now_ms
    assert again.refund.attempt == first.refund.attempt + 1


def test_a_repeated_commit_writes_once(rig: Rig) -> None:
    """Its reply may be lost, too."""
    _accept(rig, "rf-1")
    who = rig.delivery()
    claim = _claim(rig, "rf-1", who)
    line = {"event": "step.done"}
    commit = StepCommit(state=State.REFUNDABLE, next="now", history=(line,), wix_calls=2)
    assert rig.ledger.commit("rf-1", claim, commit, who)
    assert rig.ledger.commit("rf-1", claim, commit, who)
    refund = rig.load("rf-1")
    assert (refund.version, refund.wix_calls) == (2, 2)
    assert [x["event"] for x in rig.ledger.history("rf-1")] == ["refund.accepted", "step.done"]


@pytest.mark.parametrize(
    ("intent", "expected"), [("clear", "none"), ("open", "now"), ("keep", "none")]
)
def test_a_commit_clears_or_keeps_the_intent(rig: Rig, intent: str, expected: str) -> None:
    """Cleared if the effect is known, renewed if it is not, kept if nothing was sent."""
    _accept(rig, "rf-1")
    _to_refundable(rig, "rf-1")
    who = rig.delivery()
    claim = _claim(rig, "rf-1", who, Transition.SUBMIT_REFUND)
    assert claim.refund is not None
    assert rig.ledger.write_intent(claim, claim.refund, who).status == "written"
    assert rig.load("rf-1").intent_at_ms >= claim.now_ms
    commit = StepCommit(state=State.REFUNDABLE, next="later", intent=intent)  # type: ignore[arg-type]  # one of its values
    rig.ledger.commit("rf-1", claim, commit, who)
    written = rig.load("rf-1").intent_at_ms
    assert written == 0 if expected == "none" else written >= claim.now_ms


def test_a_store_has_at_most_its_width_in_flight_and_keeps_the_order(rig: Rig) -> None:
    """The others wait in order of arrival; a commit that ends one starts the next."""
    width = rig.settings.lane_width
    names = [f"rf-{n}" for n in range(width + 3)]
    for n, name in enumerate(names):
        _accept(rig, name, f"67668940-527d-4465-94c6-{n:012d}")
    assert rig.redis.zrange(rig.key("busy", STORE_ID), 0, -1) == names[:width]
    assert rig.redis.zrange(rig.key("lane", STORE_ID), 0, -1) == names[width:]
    who = rig.delivery()
    claim = _claim(rig, names[0], who)
    end = StepCommit(state=State.REJECTED, next="end")
    assert rig.ledger.commit(names[0], claim, end, who)
    assert sorted(rig.redis.zrange(rig.key("busy", STORE_ID), 0, -1)) == names[1 : width + 1]


def test_a_waiting_refund_gives_up_its_slot(rig: Rig) -> None:
    """A store whose refunds wait for a provider can still start others."""
    for n in range(rig.settings.lane_width + 1):
        _accept(rig, f"rf-{n}", f"67668940-527d-4465-94c6-{n:012d}")
    who = rig.delivery()
    claim = _claim(rig, "rf-0", who)
    wait = StepCommit(state=State.ACCEPTED, next="later", due_in_ms=60_000, uncounted=True)
    assert rig.ledger.commit("rf-0", claim, wait, who)
    assert "rf-0" not in rig.redis.zrange(rig.key("busy", STORE_ID), 0, -1)
    assert rig.redis.zcard(rig.key("busy", STORE_ID)) == rig.settings.lane_width
    assert rig.load("rf-0").attempts == 0


def test_a_message_that_comes_before_its_time_is_dropped(rig: Rig) -> None:
    """The due time is in the ledger; an old message does not shorten a wait."""
    _accept(rig, "rf-1")
    who = rig.delivery()
    claim = _claim(rig, "rf-1", who)
    wait = StepCommit(state=State.ACCEPTED, next="later", due_in_ms=60_000)
    rig.ledger.commit("rf-1", claim, wait, who)
    assert _claim(rig, "rf-1", rig.delivery(message_id="old")).status == "early"


def test_one_scheduler_leads(rig: Rig) -> None:
    """The others stand by, and one of them takes over if it stops."""
    assert rig.ledger.wake_due("a", lead_ms=60_000)[:2] == (True, 0)
    assert rig.ledger.wake_due("b", lead_ms=60_000)[:2] == (False, 0)
    assert rig.ledger.wake_due("a", lead_ms=60_000)[:2] == (True, 0)
    rig.redis.delete(rig.key("scheduler"))
    assert rig.ledger.wake_due("b", lead_ms=60_000)[:2] == (True, 0)


def test_a_refund_whose_message_was_lost_is_requeued(rig: Rig) -> None:
    """Even if the whole queue is deleted: the ledger alone is enough."""
    order = rig.order(AFTER)
    refund_id = rig.request(order)
    rig._one("refunds")
    assert requeue_lost(rig.ledger) == 0
    rig.redis.delete(rig.key("steps"), rig.key("steps.msgs"))
    assert requeue_lost(rig.ledger) == 1
    assert requeue_lost(rig.ledger) == 0
    rig.run_until_idle()
    assert rig.load(refund_id).state is State.REFUNDED
    assert len(order.refunds) == 1


def test_a_refund_that_a_living_worker_holds_is_left_alone(rig: Rig) -> None:
    """It is not lost, although it has no message."""
    _accept(rig, "rf-1")
    rig.redis.delete(rig.key("steps"), rig.key("steps.msgs"))
    _alive(rig, "a")
    _claim(rig, "rf-1", rig.delivery("a"))
    assert requeue_lost(rig.ledger) == 0
    rig.redis.zadd(rig.key("workers"), {"a": 1})
    assert requeue_lost(rig.ledger) == 1


def test_a_slot_of_an_ended_refund_is_freed(rig: Rig) -> None:
    """A lane whose slot was not released continues."""
    _accept(rig, "rf-1")
    who = rig.delivery()
    claim = _claim(rig, "rf-1", who)
    rig.ledger.commit("rf-1", claim, StepCommit(state=State.REJECTED, next="end"), who)
    rig.redis.delete(rig.key("steps"), rig.key("steps.msgs"))
    rig.redis.zadd(rig.key("busy", STORE_ID), {"rf-1": 1})
    rig.redis.sadd(rig.key("busy_stores"), STORE_ID)
    assert requeue_lost(rig.ledger) == 0
    assert rig.redis.zcard(rig.key("busy", STORE_ID)) == 0
    assert rig.redis.scard(rig.key("busy_stores")) == 0


def test_a_claim_of_an_unknown_refund_is_refused(rig: Rig) -> None:
    """Its message is acknowledged: there is nothing to do."""
    claim = _claim(rig, "nobody", rig.delivery())
    assert (claim.status, claim.refund) == ("unknown", None)


def test_listing_filters_and_pages(rig: Rig) -> None:
    """Newest first, by state and store."""
    for n in range(3):
        _accept(rig, f"rf-{n}", f"67668940-527d-4465-94c6-{n:012d}")
    ids = {refund.refund_id for refund in rig.ledger.newest(limit=2)}
    assert len(ids) == 2
    assert len(list(rig.ledger.newest(state=State.ACCEPTED, store_id=STORE_ID, limit=10))) == 3
    assert list(rig.ledger.newest(store_id="other", limit=10)) == []
    assert list(rig.ledger.newest(state=State.DEAD, limit=10)) == []


def test_all_keys_share_one_hash_tag(rig: Rig) -> None:
    """One slot of a Redis Cluster holds them all (pitfall 18)."""
    rig.run(rig.order(AFTER))
    tag = f"{{{rig.settings.namespace}}}"
    mine = [key for key in rig.redis.scan_iter() if rig.settings.namespace in key]
    assert mine
    assert all(key.startswith(f"{tag}:") for key in mine)


def test_a_duplicate_delivery_does_not_wake_a_finished_refund(rig: Rig) -> None:
    """The message was reclaimed while its worker still ran, and then the refund finished."""
    order = rig.order(BEFORE)
    refund_id = rig.request(order)
    rig._one("refunds")
    rig._one("steps")
    owner, other = rig.delivery(message_id=f"{refund_id}~2"), rig.delivery("w2", f"{refund_id}~2")
    claim = rig.ledger.claim(refund_id, Transition.CANCEL_ORDER, owner)
    assert rig.ledger.claim(refund_id, Transition.CANCEL_ORDER, other).status == "busy"
    assert rig.redis.zscore(rig.key("due"), refund_id) is None
    end = StepCommit(state=State.CANCELLED, next="end")
    rig.redis.zadd(rig.key("due"), {refund_id: 1})
    assert rig.ledger.commit(refund_id, claim, end, owner)
    rig.run_until_idle()
    assert rig.broker.quarantined() == {}
    assert rig.redis.zcard(rig.key("busy", STORE_ID)) == 0
