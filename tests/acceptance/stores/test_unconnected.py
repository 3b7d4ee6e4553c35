"""Refunds of a store that is not connected yet wait for it: visibly, and for a limited time."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from typing import Any

import pytest

from statemachine.flows import State
from tests.support.commands import refunds
from tests.support.rig import AFTER, KEY, STORE_ID, settings_for
from tests.support.stores_rig import StoresRig, lines
from worker.simulator import Simulator
from worker.stores.vault import new_key

DAY_MS = 86_400_000


def _rig(redis_url: str, **more: str) -> StoresRig:
    settings = settings_for(redis_url, vault_keys=new_key(), stores="{}", **more)
    return StoresRig(settings, Simulator())


@pytest.fixture
def rig(redis_url: str) -> Iterator[StoresRig]:
    """A worker that knows no store."""
    rig = _rig(redis_url)
    yield rig
    rig.close()


def _age(rig: StoresRig, *ids: str, ms: int) -> None:
    """Let these refunds have waited this much longer."""
    for refund_id in ids:
        rig.redis.hincrby(rig.key("refund", refund_id), "updated_at_ms", -ms)


def _reasons(rig: StoresRig, *ids: str) -> list[Any]:
    return [rig.load(refund_id).reason.get("reason") for refund_id in ids]


def test_refunds_wait_in_the_lane_until_the_store_is_connected(
    rig: StoresRig, log: io.StringIO
) -> None:
    """No attempt is used up, and then they run in order of arrival."""
    orders = [rig.order(AFTER) for _ in range(6)]
    ids = [rig.request(order) for order in orders]
    rig.run_until_idle()
    assert [rig.load(refund_id).attempts for refund_id in ids] == [0] * 6
    assert {rig.load(refund_id).state for refund_id in ids} == {State.ACCEPTED}
    assert rig.simulator.calls == []
    assert rig.problems() == []
    rig.connect()
    rig.run_until_idle()
    assert {rig.load(refund_id).state for refund_id in ids} == {State.REFUNDED}
    assert [line["event"] for line in lines(log)].count("store.resumed") <= 1


def test_it_is_reported_once(rig: StoresRig, log: io.StringIO) -> None:
    """One log line and one outcome, however many refunds wait and however often it is checked."""
    for _ in range(6):
        rig.request(rig.order(AFTER))
    rig.run_until_idle()
    for _ in range(3):
        rig.probe()
    rig.request(rig.order(AFTER))
    rig.run_until_idle()
    found = [line for line in lines(log) if line["event"] == "store.suspended"]
    assert [line["reason"] for line in found] == ["store_not_connected"]
    assert "refunds stores connect" in found[0]["remedy"]
    [event] = rig.outcomes("store.suspended")
    assert event["data"]["reason"]["reason"] == "store_not_connected"
    assert rig.outcomes("refund.dead_lettered") == []


def test_the_store_is_listed(rig: StoresRig) -> None:
    """With its state, the reason, and how many refunds wait."""
    for _ in range(2):
        rig.request(rig.order(AFTER))
    rig.run_until_idle()
    assert rig.stores.ids() == [STORE_ID]
    shown = rig.stores.find(STORE_ID).public()
    assert (shown["state"], shown["waiting"], shown["in_flight"]) == ("unknown", 2, 0)
    assert shown["suspended_because"]["reason"] == "store_not_connected"
    assert shown["suspended_since_ms"]


def test_the_status_says_what_to_type(rig: StoresRig) -> None:
    """There is no key to check yet: the store is to be connected."""
    rig.request(rig.order(AFTER))
    rig.run_until_idle()
    told = json.loads(refunds(rig, "status", "--json").stdout)
    assert f"refunds stores connect --site {STORE_ID}" in [n["command"] for n in told["needs"]]
    done = refunds(rig, "stores", "check", STORE_ID)
    assert "is not connected; connect it with `refunds stores connect`" in done.stderr


def test_after_the_waiting_time_they_become_dead_letters(rig: StoresRig, log: io.StringIO) -> None:
    """Each after its own time: one that came later still waits, and is checked in time."""
    early, late = rig.request(rig.order(AFTER)), rig.request(rig.order(AFTER))
    rig.run_until_idle()
    _age(rig, early, ms=DAY_MS)
    _age(rig, late, ms=DAY_MS - 90_000)
    rig.probe()
    assert _reasons(rig, early, late) == ["store_unknown", None]
    assert (rig.load(early).state, rig.load(late).state) == (State.DEAD, State.ACCEPTED)
    assert 80_000 < rig.wait_for_probe_ms() <= 90_000
    [event] = rig.outcomes("refund.dead_lettered")
    assert (event["subject"], event["data"]["reason"]["reason"]) == (early, "store_unknown")
    [dead] = [line for line in lines(log) if line["event"] == "step.dead"]
    assert (dead["refund_id"], dead["reason"], dead["store_id"]) == (
        early,
        "store_unknown",
        STORE_ID,
    )
    assert rig.ledger.history(early)[-1]["reason"] == "store_unknown"


def test_when_none_waits_any_more_the_store_is_forgotten(rig: StoresRig, log: io.StringIO) -> None:
    """A wrong id is not listed and checked forever; the next job is reported again."""
    refund_id = rig.request(rig.order(AFTER))
    rig.run_until_idle()
    _age(rig, refund_id, ms=DAY_MS)
    rig.probe()
    assert rig.stores.ids() == []
    assert rig.redis.zcard(rig.key("probes")) == 0
    rig.request(rig.order(AFTER))
    rig.run_until_idle()
    assert rig.stores.ids() == [STORE_ID]
    assert [line["event"] for line in lines(log)].count("store.suspended") == 2


def test_a_replay_waits_again(rig: StoresRig) -> None:
    """The waiting time begins when the refund begins to wait; once connected, it is made."""
    order = rig.order(AFTER)
    refund_id = rig.request(order)
    rig.run_until_idle()
    _age(rig, refund_id, ms=DAY_MS)
    rig.probe()
    assert rig.replay(refund_id, operator="ann")
    rig.run_until_idle()
    rig.probe()
    assert rig.load(refund_id).state is State.ACCEPTED
    rig.connect()
    rig.run_until_idle()
    assert rig.load(refund_id).state is State.REFUNDED
    assert len(order.refunds) == 1


def test_a_refund_that_was_delayed_waits_its_whole_time(rig: StoresRig) -> None:
    """Its due time does not count."""
    first, delayed = rig.request(rig.order(AFTER)), rig.request(rig.order(AFTER))
    rig.run_until_idle()
    rig.redis.zrem(rig.key("lane", STORE_ID), delayed)
    rig.redis.zadd(rig.key("due"), {delayed: 1})
    _age(rig, first, delayed, ms=2 * DAY_MS)
    rig.let_an_hour_pass()
    rig.probe()
    assert _reasons(rig, first, delayed) == ["store_unknown", None]


def test_a_key_in_the_environment_of_a_new_worker_resumes_the_store(rig: StoresRig) -> None:
    """At once: a worker that becomes the leader checks the stores whose keys it has."""
    refund_id = rig.request(rig.order(AFTER))
    rig.run_until_idle()
    rig.give(STORE_ID, KEY)
    rig.prober().turn(lambda: False)
    assert rig.stores.find(STORE_ID).state == "unknown"
    rig.redis.delete(rig.key("scheduler"))  # the rig led for a millisecond
    rig.app.scheduler.wake()
    rig.app.scheduler.probe()
    rig.run_until_idle()
    assert rig.load(refund_id).state is State.REFUNDED


def test_a_wrong_key_then_suspends_the_store_for_that(rig: StoresRig) -> None:
    """The reason is the current one; for a refused key there is no time limit."""
    refund_id = rig.request(rig.order(AFTER))
    rig.run_until_idle()
    rig.give(STORE_ID, "IST.wrong.wrong.wrong")
    rig.probe()
    rig.run_until_idle()
    _age(rig, refund_id, ms=9 * DAY_MS)
    rig.probe()
    assert rig.stores.find(STORE_ID).state == "suspended"
    assert _reasons(rig, refund_id) == ["key_refused"]


def test_a_store_that_is_connected_meanwhile_keeps_its_refunds(rig: StoresRig) -> None:
    """The check that found them overdue is out of date."""
    refund_id = rig.request(rig.order(AFTER))
    rig.run_until_idle()
    _age(rig, refund_id, ms=DAY_MS)
    record = rig.stores.find(STORE_ID)
    rig.connect()
    rig.prober().unconnected.look(record)
    assert rig.load(refund_id).state is State.ACCEPTED
    refund, line = rig.load(refund_id), {"event": "step.dead"}
    assert not rig.stores.bury(refund, reason={}, line=line, epoch=record.suspended_epoch)
    rig.run_until_idle()
    assert rig.load(refund_id).state is State.REFUNDED


def test_thousands_that_are_overdue_are_all_found(rig: StoresRig) -> None:
    """More than one batch, with one check."""
    ids = [rig.request(rig.order(AFTER)) for _ in range(7)]
    rig.run_until_idle()
    _age(rig, *ids, ms=DAY_MS)
    next_in_ms, found = rig.stores.overdue(STORE_ID, for_ms=DAY_MS, limit=3, epoch=0)
    assert (next_in_ms, found) == (DAY_MS, ids[:3])
    rig.probe()
    assert {rig.load(refund_id).state for refund_id in ids} == {State.DEAD}


def test_without_a_waiting_time_they_are_dead_at_once(redis_url: str) -> None:
    """REFUNDS_STORE_UNKNOWN_FOR_S=0."""
    rig = _rig(redis_url, store_unknown_for_s="0")
    refund_id = rig.request(rig.order(AFTER))
    rig.run_until_idle()
    assert _reasons(rig, refund_id) == ["store_unknown"]
    assert rig.stores.ids() == []
    rig.close()
