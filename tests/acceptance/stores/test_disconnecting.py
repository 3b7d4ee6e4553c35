"""Stores are disconnected and connected again; what happens to their refunds."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from statemachine.flows import State, Transition
from tests.support.lost_replies import lose_reply
from tests.support.rig import AFTER, KEY, STORE_ID
from tests.support.stores_rig import StoresRig
from worker.simulator import Fault
from worker.stores import connecting


@pytest.fixture
def vaulted(redis_url: str) -> Iterator[StoresRig]:
    """A worker whose only store is in the vault."""
    rig = StoresRig.with_vault(redis_url)
    rig.connect()
    yield rig
    rig.redis.close()
    rig.broker.client.close()


def test_disconnect_refuses_while_refunds_are_unfinished(vaulted: StoresRig) -> None:
    """The error says how many; the store stays connected."""
    vaulted.request(vaulted.order(AFTER))
    vaulted.run_intake()
    with pytest.raises(connecting.CannotDo, match=r"1 refunds .* not finished"):
        vaulted.disconnect(force=False)
    assert vaulted.stores.find(STORE_ID).state == "connected"


def test_a_forced_disconnect_makes_all_unfinished_refunds_dead_letters(vaulted: StoresRig) -> None:
    """Whether waiting, queued or due; a finished refund is not affected."""
    done = vaulted.run(vaulted.order(AFTER))
    vaulted.simulator.script(Fault("status", "get_order", status=503))
    ids = [vaulted.request(vaulted.order(AFTER))]
    vaulted.run_queued()
    ids += [vaulted.request(vaulted.order(AFTER)) for _ in range(7)]
    vaulted.run_intake()
    assert vaulted.disconnect(force=True) == (8, 0)
    assert {vaulted.load(i).state for i in ids} == {State.DEAD}
    assert {vaulted.load(i).reason["reason"] for i in ids} == {"store_disconnected"}
    assert vaulted.load(done.refund_id).state is State.REFUNDED
    assert len(vaulted.outcomes("refund.dead_lettered")) == 8
    store = vaulted.stores.find(STORE_ID)
    assert (store.state, store.sealed, store.waiting, store.in_flight) == ("disconnected", "", 0, 0)
    assert not vaulted.problems()
    vaulted.run_until_idle()
    assert len(vaulted.simulator.orders) == 9
    assert sum(len(order.refunds) for order in vaulted.simulator.orders.values()) == 1


def test_a_suspended_store_can_be_disconnected_and_connected_again(vaulted: StoresRig) -> None:
    """Its dead letters can then be replayed."""
    vaulted.simulator.revoke_key(KEY)
    refund_id = vaulted.request(vaulted.order(AFTER))
    vaulted.run_until_idle()
    assert vaulted.disconnect(force=True) == (1, 0)
    late = vaulted.run(vaulted.order(AFTER))
    assert (late.state, late.reason["reason"]) == (State.DEAD, "store_disconnected")
    vaulted.simulator.keys[KEY].revoked = False
    vaulted.connect()
    assert vaulted.replay(refund_id, operator="ann")
    vaulted.run_until_idle()
    assert vaulted.load(refund_id).state is State.REFUNDED


def test_a_running_step_is_not_interrupted(vaulted: StoresRig) -> None:
    """It commits its result, and the next step finds no key."""
    order = vaulted.order(AFTER)
    refund_id = vaulted.request(order)
    left: list[tuple[int, int]] = []
    vaulted.at = {"before_call": lambda: left.append(vaulted.disconnect(force=True))}
    vaulted.run_until_idle()
    assert left == [(0, 1)]
    refund = vaulted.load(refund_id)
    assert (refund.state, refund.died_in) == (State.DEAD, "refund_submitted")
    assert refund.reason["reason"] == "store_disconnected"
    assert len(order.refunds) == 1


def test_a_call_of_a_dead_worker_may_have_been_sent_just_before_the_disconnect(
    vaulted: StoresRig,
) -> None:
    """However old its intent is, the replayed step waits the settle delay."""
    refund_id = vaulted.request(vaulted.order(AFTER))
    vaulted.run_one_step()
    vaulted.redis.zadd(vaulted.key("workers"), {"silent": int(vaulted.redis.time()[0]) * 1000})
    submit = Transition.SUBMIT_REFUND
    silent = vaulted.delivery("silent")
    held = vaulted.ledger.claim(refund_id, submit, silent)
    assert held.refund is not None
    assert vaulted.ledger.write_intent(held, held.refund, silent).status == "written"
    vaulted.redis.hincrby(vaulted.key("refund", refund_id), "intent_at_ms", -20_000)
    vaulted.redis.zadd(vaulted.key("workers"), {"silent": 1})
    assert vaulted.disconnect(force=True) == (1, 0)
    buried = vaulted.load(refund_id)
    assert buried.intent_at_ms == buried.updated_at_ms
    vaulted.connect()
    assert vaulted.replay(refund_id, operator="ann")
    claim = vaulted.ledger.claim(refund_id, submit, vaulted.delivery(message_id="later"))
    assert claim.refund is not None
    assert claim.refund.intent_at_ms == buried.intent_at_ms


def test_dead_letters_are_counted_even_if_replies_of_redis_are_lost(vaulted: StoresRig) -> None:
    """The scripts run again; to report these refunds as running would be wrong."""
    ids = [vaulted.request(vaulted.order(AFTER)) for _ in range(2)]
    vaulted.run_intake()
    lose_reply(vaulted.stores._scripts, "bury")
    lose_reply(vaulted.stores._scripts, "disconnect")
    assert vaulted.disconnect(force=True) == (2, 0)
    assert {vaulted.load(refund_id).state for refund_id in ids} == {State.DEAD}
    assert len(vaulted.outcomes("refund.dead_lettered")) == 2
    assert len(vaulted.outcomes("store.disconnected")) == 1


def test_an_old_message_takes_a_replayed_refund_out_of_the_lane(vaulted: StoresRig) -> None:
    """If it were both in the lane and in flight, it would keep its slot forever."""
    vaulted.simulator.set_flags(provider_ms=10**9)
    count = vaulted.settings.lane_width + 1
    ids = [vaulted.request(vaulted.order(AFTER)) for _ in range(count)]
    vaulted.run_intake()
    assert vaulted.disconnect(force=True) == (count, 0)
    vaulted.connect()
    for refund_id in reversed(ids):
        assert vaulted.replay(refund_id, operator="ann")
    assert vaulted.redis.zrange(vaulted.key("lane", STORE_ID), 0, -1) == ids[:1]
    vaulted.run_queued()
    assert not vaulted.problems()
    assert {vaulted.load(i).state for i in ids} == {State.REFUND_SUBMITTED}
    assert vaulted.redis.zcard(vaulted.key("busy", STORE_ID)) == 0


def test_a_store_in_the_environment_cannot_be_disconnected(vaulted: StoresRig) -> None:
    """Its key would still be in use."""
    vaulted.give(STORE_ID, KEY)
    with pytest.raises(connecting.CannotDo, match="REFUNDS_STORES"):
        vaulted.disconnect(force=True)


def test_connecting_a_new_key_resumes_the_store(vaulted: StoresRig) -> None:
    """In the same script that replaces the key; upstream is informed of both."""
    vaulted.simulator.revoke_key(KEY)
    refund_id = vaulted.request(vaulted.order(AFTER))
    vaulted.run_until_idle()
    vaulted.simulator.add_key("IST.newer", vaulted.simulator.stores[STORE_ID].account_id)
    vaulted.connect("IST.newer")
    vaulted.run_until_idle()
    assert vaulted.load(refund_id).state is State.REFUNDED
    types = [event["type"] for event in vaulted.outcomes("store.connected", "store.resumed")]
    assert types == ["store.connected", "store.connected", "store.resumed"]


def test_a_sealed_key_that_does_not_open_suspends_instead_of_losing_refunds(
    vaulted: StoresRig,
) -> None:
    """A worker with wrong vault keys makes no dead letters; with the right ones it continues."""
    vaulted.redis.hset(vaulted.key("store", STORE_ID), "sealed", "of another vault")
    refund_id = vaulted.request(vaulted.order(AFTER))
    vaulted.run_until_idle()
    store = vaulted.stores.find(STORE_ID).public()
    assert store["suspended_because"]["reason"] == "key_sealed_shut"
    vaulted.redis.zadd(vaulted.key("probes"), {STORE_ID: 1})
    vaulted.prober().turn(lambda: False)
    assert vaulted.stores.find(STORE_ID).state == "suspended"
    vaulted.connect()
    vaulted.run_until_idle()
    assert vaulted.load(refund_id).state is State.REFUNDED
