"""After a failover the workers name their calls that may be forgotten; all else goes on at once."""

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
from tests.support.lost_replies import lose_reply
from tests.support.rig import AFTER, BEFORE, STORE_ID, Rig
from worker.ledger.durability import Replicas
from worker.queue.own_calls import OwnCalls


@pytest.fixture(autouse=True)
def _ticked(rig: Rig) -> None:
    """The rig's worker has vouched in a ledger that has ticked."""
    tick(rig)
    rig.broker.beat()


@pytest.mark.parametrize("created", [BEFORE, AFTER])
def test_a_refund_goes_on_as_soon_as_the_worker_has_vouched(
    rig: Rig, created: str, log: io.StringIO
) -> None:
    """The settle delay has hardly begun by then; and the wait before that is short."""
    refund_id = ready(rig, created)
    fail_over(rig)
    rig.run_queued()
    assert changes(rig) == 0
    assert 0 < wait_ms(rig, refund_id) <= 2_000
    rig.broker.beat()
    let_pass(rig, GRACE_MS)
    rig.run_queued()
    assert rig.load(refund_id).state in {State.REFUNDED, State.CANCELLED}
    assert rig.load(refund_id).intent_at_ms == 0
    events = [json.loads(line) for line in log.getvalue().splitlines()]
    assert [line["calls"] for line in events if line["event"] == "worker.vouched"] == [0]


def test_a_step_that_is_held_back_vouches_at_once(rig: Rig) -> None:
    """It does not wait for the next heartbeat."""
    ready(rig)
    replica(rig, "another")()
    rig.run_queued()
    claim = rig.ledger.claim(ready(rig), Transition.SUBMIT_REFUND, rig.delivery())
    assert claim.refund is not None
    assert rig.ledger.write_intent(claim, claim.refund, rig.delivery()).status == "held_back"
    assert rig.redis.zcard(rig.key("unvouched")) == 0


def test_a_worker_that_was_frozen_for_an_hour_vouches_again(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The ledger does not list it any more: no server would ask it that takes over now."""
    rig.redis.delete(rig.key("worker", rig.broker.broker_id))
    rig.redis.zrem(rig.key("workers"), rig.broker.broker_id)
    claim = rig.ledger.claim(ready(rig), Transition.SUBMIT_REFUND, rig.delivery())
    assert claim.refund is not None
    with monkeypatch.context() as patch:
        patch.setattr(Replicas, "missing", lambda *_: 1)
        rig.broker.beat()
        assert rig.ledger.write_intent(claim, claim.refund, rig.delivery()).status == "held_back"
    rig.broker.beat()
    assert rig.ledger.write_intent(claim, claim.refund, rig.delivery()).status == "written"
    assert rig.broker.own_calls.heard(*_beat(rig))


def _beat(rig: Rig) -> tuple[int, str]:
    """Write a heartbeat; return its number, and the era of the ledger."""
    number, era = rig.broker.own_calls.next_beat()
    return number, str(rig.broker.command("beat", number=number, era=era))


def _forgotten_call(rig: Rig) -> tuple[str, Callable[[], None]]:
    """Begin a call whose intent a replica does not have; return its refund, and the failover."""
    refund_id = ready(rig)
    take_over = replica(rig, "another")
    claim = rig.ledger.claim(refund_id, Transition.SUBMIT_REFUND, rig.delivery())
    assert claim.refund is not None
    assert rig.ledger.write_intent(claim, claim.refund, rig.delivery()).status == "written"
    return refund_id, take_over


def test_a_forgotten_call_is_not_doubled_and_the_others_go_on(rig: Rig) -> None:
    """Its order waits for the settle delay; then Wix shows what the call did."""
    refund_id, take_over = _forgotten_call(rig)
    order = next(o for o in rig.simulator.orders.values() if not o.refunds)
    take_over()
    rig.broker.beat()
    let_pass(rig, GRACE_MS)
    other_id = rig.request(rig.order(AFTER))
    rig.run_queued()
    assert rig.load(other_id).state is State.REFUNDED
    assert rig.load(refund_id).state is State.REFUNDABLE
    assert order.refunds == []
    assert wait_ms(rig, refund_id) > rig.settings.settle_delay_ms - 10_000
    rig.simulator.merchant_refunds(order.id, f"(ref {rig.load(refund_id).fingerprint})")
    let_pass(rig, rig.settings.settle_delay_ms + 10_000)
    rig.run_until_idle()
    assert rig.load(refund_id).state is State.REFUNDED
    assert len(order.refunds) == 1


def test_a_forgotten_job_that_is_sent_again_waits_as_well(rig: Rig) -> None:
    """The ledger forgot the refund, too: only the worker's memory connects it with the call."""
    take_over = replica(rig, "another")
    order = rig.order(AFTER)
    refund_id = rig.request(order)
    rig._one("refunds")
    rig._one("steps")
    claim = rig.ledger.claim(refund_id, Transition.SUBMIT_REFUND, rig.delivery())
    assert claim.refund is not None
    assert rig.ledger.write_intent(claim, claim.refund, rig.delivery()).status == "written"
    take_over()
    rig.broker.beat()
    let_pass(rig, GRACE_MS)
    rig.request(order, refund_id)
    rig.run_queued()
    assert (rig.load(refund_id).state, order.refunds) == (State.REFUNDABLE, [])


def test_an_order_that_was_named_waits_longer_than_the_doubt(rig: Rig) -> None:
    """The worker met the new server late, and may have made calls until then."""
    refund_id, take_over = _forgotten_call(rig)
    take_over()
    let_pass(rig, 1)
    let_pass(rig, rig.settings.settle_delay_ms - 5_000)
    rig.broker.beat()
    let_pass(rig, 60_000)
    rig.run_queued()
    assert changes(rig) == 0
    assert rig.load(refund_id).state is State.REFUNDABLE


def test_a_failover_before_the_vouching_has_reached_the_replica(rig: Rig) -> None:
    """The call is named again, although the worker believes that it was."""
    refund_id, take_over = _forgotten_call(rig)
    take_over()
    let_pass(rig, 1)
    second = replica(rig, "a third")
    rig.broker.beat()
    assert rig.redis.zcard(rig.key("doubted")) == 1
    second()
    rig.broker.beat()
    order_id = rig.load(refund_id).request.order_id
    assert rig.redis.zrange(rig.key("doubted"), 0, -1) == [f"{STORE_ID}|{order_id}"]
    assert rig.redis.zcard(rig.key("unvouched")) == 0


def test_the_vouching_may_be_repeated(rig: Rig) -> None:
    """Its reply was lost."""
    _, take_over = _forgotten_call(rig)
    take_over()
    lose_reply(rig.ledger._scripts, "vouch")
    rig.broker.beat()
    assert rig.redis.zcard(rig.key("doubted")) == 1
    assert rig.redis.zcard(rig.key("unvouched")) == 0
    assert rig.broker.own_calls.era is not None


def test_an_old_primary_writes_no_intent_of_a_worker_that_has_left_it(rig: Rig) -> None:
    """It still answers, and knows nothing of the doubt."""
    refund_id = ready(rig)
    old = replica(rig, rig.redis.hget(rig.key("clock"), "run_id"))
    fail_over(rig)
    rig.broker.beat()
    old()
    claim = rig.ledger.claim(refund_id, Transition.SUBMIT_REFUND, rig.delivery())
    assert claim.refund is not None
    assert rig.ledger.write_intent(claim, claim.refund, rig.delivery()).status == "held_back"
    assert rig.load(refund_id).intent_at_ms == 0
    # Nor does it vouch there: the others rely on what it has said at the new one.
    rig.broker.beat()
    assert rig.ledger.write_intent(claim, claim.refund, rig.delivery()).status == "held_back"
    assert rig.load(refund_id).intent_at_ms == 0


def test_a_worker_that_has_lost_the_new_primary_goes_back_after_the_settle_delay(rig: Rig) -> None:
    """By then what it said there has no effect any more; each heartbeat there begins it anew."""
    clock = [0.0]
    calls = rig.broker.own_calls = OwnCalls(lambda: clock[0])
    rig.broker.vouch = rig.ledger.intents.vouch_for(calls, rig.broker.broker_id).turn
    rig.broker.beat()
    old = replica(rig, rig.redis.hget(rig.key("clock"), "run_id"))
    first = calls.era
    fail_over(rig)
    rig.broker.beat()
    clock[0] += rig.settings.settle_delay_ms / 1000
    rig.broker.beat()
    old()
    rig.broker.beat()
    assert calls.era is None
    clock[0] += rig.settings.settle_delay_ms / 1000
    rig.broker.beat()
    assert calls.era == first


def test_a_suspicion_that_a_worker_has_dispelled_leaves_nothing(rig: Rig) -> None:
    """The refund counts as one of which nothing is in doubt; until then a person must wait."""
    refund_id = ready(rig)
    fail_over(rig)
    rig.run_queued()
    doubt_ms = rig.redis.hget(rig.key("clock"), "doubt_ms")
    assert rig.redis.hget(rig.key("refund", refund_id), "intent_at_ms") == doubt_ms
    rig.broker.beat()
    let_pass(rig, GRACE_MS)
    rig.run_queued()
    assert rig.load(refund_id).state is State.REFUNDED
    assert not rig.redis.hexists(rig.key("refund", refund_id), "suspected_at_ms")


def test_a_claim_that_meets_a_backup_before_its_first_tick_does_not_end_the_hold(rig: Rig) -> None:
    """Until that tick the ledger's clock stands still at the time of the backup."""
    refund_id = ready(rig)
    replica(rig, "another")()
    rig.redis.hincrby(rig.key("clock"), "last_ms", -3_600_000)
    claim = rig.ledger.claim(refund_id, Transition.SUBMIT_REFUND, rig.delivery())
    assert claim.refund is not None
    intent = rig.ledger.write_intent(claim, claim.refund, rig.delivery())
    assert (intent.status, intent.wait_ms) == ("held_back", 1_000)
    rig.redis.delete(rig.key("scheduler"))
    rig.ledger.wake_due("leader", lead_ms=1)
    rig.broker.beat()
    let_pass(rig, GRACE_MS)
    intent = rig.ledger.write_intent(claim, claim.refund, rig.delivery())
    assert intent.status == "held_back"
    assert intent.wait_ms > rig.settings.settle_delay_ms / 2


def test_a_worker_that_meets_another_server_before_its_first_tick_names_nothing_yet(
    rig: Rig,
) -> None:
    """The clock stands still: what waits from then on waits no longer after the tick.

    Nor would it be named again: the number of the heartbeat says that nothing before was forgotten.
    """
    refund_id = ready(rig)
    take_over = replica(rig, "another")
    claim = rig.ledger.claim(refund_id, Transition.SUBMIT_REFUND, rig.delivery())
    assert claim.refund is not None
    assert rig.ledger.write_intent(claim, claim.refund, rig.delivery()).status == "written"
    take_over()
    rig.redis.hincrby(rig.key("clock"), "last_ms", -3_600_000)
    for _ in range(2):
        rig.broker.beat()
    let_pass(rig, 1)
    rig.broker.beat()
    order = f"{STORE_ID}|{claim.refund.request.order_id}"
    until_ms = rig.redis.zscore(rig.key("doubted"), order)
    last_ms = int(rig.redis.hget(rig.key("clock"), "last_ms"))
    assert until_ms - last_ms > rig.settings.settle_delay_ms - 10_000
