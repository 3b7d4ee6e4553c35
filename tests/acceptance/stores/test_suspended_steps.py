"""Steps, replays and lost replies while a store is suspended."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from statemachine.flows import State, Transition
from tests.support.lost_replies import lose_reply
from tests.support.own_server import own_server
from tests.support.rig import AFTER, KEY, STORE_ID
from tests.support.stores_rig import CommittingTwice, StoresRig
from worker.simulator import Fault

#: Tests below count what the server was asked.
redis_url = own_server


@pytest.fixture
def rig(redis_url: str) -> Iterator[StoresRig]:
    """A worker with two stores that have different keys."""
    rig = StoresRig.with_two_stores(redis_url)
    yield rig
    rig.redis.close()
    rig.broker.client.close()


def _suspend(rig: StoresRig) -> None:
    """Suspend the store, as a refused step of another refund does."""
    order = rig.order(AFTER)
    rig.simulator.script(Fault("status", "get_order", status=401, order_id=order.id))
    refund_id = rig.request(order)
    rig.run_intake()
    rig.steps.run(Transition.ASSESS_ORDER, refund_id, rig.delivery(message_id="x"))
    assert rig.stores.find(STORE_ID).state == "suspended"


def test_a_step_still_makes_one_claim_and_one_commit(rig: StoresRig) -> None:
    """Keys, suspensions and accepted endpoints need no round trips of their own."""
    rig.run(rig.order(AFTER))  # loads the scripts
    refund_id = rig.request(rig.order(AFTER))
    rig.run_intake()
    before = rig.redis.info("commandstats")["cmdstat_evalsha"]["calls"]
    rig.steps.run(Transition.ASSESS_ORDER, refund_id, rig.delivery())
    assert rig.redis.info("commandstats")["cmdstat_evalsha"]["calls"] - before == 2


def test_a_dead_letter_that_is_replayed_waits_in_a_suspended_stores_lane(rig: StoresRig) -> None:
    """A replay does not bypass the suspension."""
    rig.simulator.script(Fault("status", "get_order", status=501))
    dead = rig.run(rig.order(AFTER))
    rig.simulator.revoke_key(KEY)
    rig.request(rig.order(AFTER))
    rig.run_until_idle()
    assert rig.replay(dead.refund_id, operator="ann")
    rig.run_until_idle()
    assert rig.load(dead.refund_id).state is State.ACCEPTED
    assert rig.stores.find(STORE_ID).waiting == 2


def test_a_commit_whose_reply_was_lost_suspends_once(rig: StoresRig) -> None:
    """The script runs again with the same answer, and writes no second outcome."""
    rig.simulator.revoke_key(KEY)
    refund_id = rig.request(rig.order(AFTER))
    rig.run_intake()
    twice = CommittingTwice(rig.ledger)
    rig.steps_with(twice).run(  # type: ignore[arg-type]  # a ledger with one change
        Transition.ASSESS_ORDER, refund_id, rig.delivery()
    )
    assert twice.statuses == ["suspended", "suspended"]
    assert len(rig.outcomes("store.suspended")) == 1


def test_a_resume_whose_reply_was_lost_is_reported_as_done(rig: StoresRig) -> None:
    """The script runs again; "is not suspended" would be the wrong answer."""
    rig.simulator.revoke_key(KEY)
    rig.request(rig.order(AFTER))
    rig.run_until_idle()
    lose_reply(rig.stores._scripts, "resume")
    assert rig.stores.resume(STORE_ID, by="ann")
    assert not rig.stores.resume(STORE_ID, by="ann")
    assert len(rig.outcomes("store.resumed")) == 1
