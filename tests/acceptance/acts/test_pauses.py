"""Stores that a person pauses: nothing starts, nothing is lost, no attempt is spent."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from statemachine.flows import State
from tests.support.commands import refunds
from tests.support.rig import AFTER, ANN, STORE_ID
from tests.support.stores_rig import OTHER, StoresRig
from worker.ledger.acts import ALL_STORES
from worker.operations.acts import stores
from worker.operations.acts.refusals import CannotAct


@pytest.fixture
def shops(redis_url: str) -> Iterator[StoresRig]:
    """A worker with two stores."""
    rig = StoresRig.with_two_stores(redis_url)
    yield rig
    rig.close()


def _two(rig: StoresRig) -> tuple[str, str]:
    other = rig.simulator.add_order(OTHER, created_date=AFTER)
    return rig.request(rig.order(AFTER)), rig.request(other, store_id=OTHER)


def _states(rig: StoresRig, *ids: str) -> list[State]:
    return [rig.load(each).state for each in ids]


def test_a_paused_store_waits_and_the_others_go_on(shops: StoresRig) -> None:
    """Jobs are still accepted; upstream is told once."""
    stores.pause(shops.acts, STORE_ID, operator=ANN)
    with pytest.raises(CannotAct, match="is paused already"):
        stores.pause(shops.acts, STORE_ID, operator=ANN)
    ids = _two(shops)
    shops.run_until_idle()
    assert _states(shops, *ids) == [State.ACCEPTED, State.REFUNDED]
    assert shops.load(ids[0]).attempts == 0
    [event] = shops.outcomes("store.paused")
    who = {"by": "ann", "why": "a test"}
    assert (event["subject"], event["data"]) == (STORE_ID, {"store_id": STORE_ID, **who})
    assert shops.problems() == []
    assert shops.stores.find(STORE_ID).public()["paused"] == who
    assert stores.unpause(shops.acts, STORE_ID, operator=ANN)
    assert not stores.unpause(shops.acts, STORE_ID, operator=ANN)
    shops.run_until_idle()
    assert _states(shops, *ids) == [State.REFUNDED, State.REFUNDED]
    [event] = shops.outcomes("store.resumed")
    assert (event["data"]["ended"], event["data"]["by"]) == ("pause", "ann")


def test_everything_waits_while_all_is_paused(shops: StoresRig) -> None:
    """What runs finishes its step; a store that is paused by itself stays paused afterwards."""
    running, other = _two(shops)
    shops.run_one_step()
    stores.pause(shops.acts, ALL_STORES, operator=ANN)
    stores.pause(shops.acts, OTHER, operator=ANN)
    shops.run_until_idle()
    assert State.REFUNDED not in _states(shops, running, other)
    attempts = [shops.load(each).attempts for each in (running, other)]
    shops.let_an_hour_pass()
    shops.run_until_idle()
    assert [shops.load(each).attempts for each in (running, other)] == attempts
    [event] = [e for e in shops.outcomes("store.paused") if e["subject"] == "*"]
    assert event["data"]["store_id"] is None
    assert stores.unpause(shops.acts, ALL_STORES, operator=ANN)
    shops.ledger.wake_due("rig", lead_ms=1)
    shops.run_until_idle()
    assert _states(shops, running, other)[0] is State.REFUNDED
    assert shops.load(other).state is not State.REFUNDED
    assert stores.unpause(shops.acts, OTHER, operator=ANN)
    shops.run_until_idle()
    assert shops.load(other).state is State.REFUNDED
    assert shops.redis.smembers(shops.key("paused_lanes")) == set()


def test_a_step_that_runs_when_its_store_is_paused_finishes(shops: StoresRig) -> None:
    """The next one waits in the lane."""
    refund_id = shops.request(shops.order(AFTER))

    def pause() -> None:
        shops.at.clear()
        stores.pause(shops.acts, STORE_ID, operator=ANN)

    shops.at["after_claim"] = pause
    shops.run_until_idle()
    assert shops.load(refund_id).state is State.REFUNDABLE
    assert shops.redis.zrange(shops.key("lane", STORE_ID), 0, -1) == [refund_id]


def test_the_commands(shops: StoresRig) -> None:
    """`stores pause`, `stores resume`, `pause --all`, `resume --all`; all of it is recorded."""
    why = ("--reason", "incident 17", "--by", "bob")
    assert refunds(shops, "stores", "pause", STORE_ID, *why).returncode == 1
    shops.redis.hset(shops.key("store", STORE_ID), "sealed", "x")
    shops.redis.zadd(shops.key("stores"), {STORE_ID: 1})
    assert refunds(shops, "stores", "pause", STORE_ID, *why).returncode == 0
    assert refunds(shops, "stores", "pause", STORE_ID, *why).returncode == 1
    listed = json.loads(refunds(shops, "stores", "list", "--json").stdout)
    assert refunds(shops, "stores", "pause", STORE_ID).returncode == 2
    assert listed["stores"][0]["paused"] == {"by": "bob", "why": "incident 17"}
    assert "connected (paused)" in refunds(shops, "stores", "list").stdout
    assert refunds(shops, "stores", "resume", STORE_ID).returncode == 0
    assert refunds(shops, "pause", *why).returncode == 2
    assert refunds(shops, "pause", "--all", *why).returncode == 0
    assert refunds(shops, "pause", "--all", *why).returncode == 1
    assert refunds(shops, "resume", "--all", "--json").returncode == 0
    assert refunds(shops, "resume", "--all").returncode == 1
    acts = [entry.fields()["act"] for entry in shops.ledger.audit_log.entries()]
    assert acts == ["stores.pause", "stores.resume", "pause", "resume"]
