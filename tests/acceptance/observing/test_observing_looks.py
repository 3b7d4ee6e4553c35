"""Looks at what merchants do: when they are made, and that each act is told once."""

from __future__ import annotations

import io

import pytest

from tests.support.lost_replies import lose_reply
from tests.support.merchants import calls, look, make_due, shift, switch_on, told, types
from tests.support.rig import AFTER, ANN, STORE_ID, Rig
from worker.ledger.observed import KEEP_MS, PUT_OFF_MS
from worker.operations.acts.observing import observe
from worker.simulator import Fault
from worker.simulator.world.provider import iso

REFUND = "refund.observed"
#: Calls that a look makes if something has changed.
LOOK = ["search_orders", "list_transactions"]


def test_nobody_looks_where_it_is_not_switched_on(rig: Rig) -> None:
    """Off by default, and off again after it was switched off: what was seen is forgotten."""
    order = rig.order(AFTER)
    rig.simulator.merchant_refunds(order.id, amount="1.00")
    look(rig)
    assert calls(rig) == []
    switch_on(rig)
    assert not observe(rig.acts, STORE_ID, is_on=True, operator=ANN)
    look(rig)
    assert observe(rig.acts, STORE_ID, is_on=False, operator=ANN)
    assert not observe(rig.acts, STORE_ID, is_on=False, operator=ANN)
    calls(rig)
    look(rig)
    assert calls(rig) == []
    for name in ("observer", "observed", "observe_again"):
        assert not rig.redis.exists(rig.key(name, STORE_ID))


def test_no_look_changes_anything_at_wix(rig: Rig) -> None:
    """It reads: the client that it has refuses every other call."""
    order = rig.order(AFTER)
    switch_on(rig)
    rig.simulator.merchant_refunds(order.id)
    effects = list(order.effects)
    look(rig)
    assert calls(rig) == LOOK
    assert order.effects == effects


def test_each_act_is_told_once_even_if_a_reply_of_redis_is_lost(rig: Rig) -> None:
    """The script runs again; so does one that hands out a look."""
    order = rig.order(AFTER)
    switch_on(rig)
    rig.simulator.merchant_refunds(order.id, amount="5.00")
    lose_reply(rig.ledger._scripts, "observed")
    look(rig)
    rig.simulator.merchant_refunds(order.id, amount="6.00")
    once = rig.ledger._scripts["observe"]
    lose_reply(rig.ledger._scripts, "observe")
    look(rig)
    assert types(rig) == [REFUND]
    rig.ledger._scripts["observe"] = once
    look(rig)
    assert types(rig) == [REFUND, REFUND]


def test_two_looks_at_once_tell_an_act_once(rig: Rig) -> None:
    """A look was handed out again because the first one was slow."""
    order = rig.order(AFTER)
    switch_on(rig)
    rig.simulator.merchant_refunds(order.id)
    record = rig.ledger.observed._record

    def slowly(*given: object, **more: object) -> list[str]:
        rig.ledger.observed._record = record  # type: ignore[method-assign]  # as it was
        look(rig)
        return record(*given, **more)  # type: ignore[arg-type]  # as they were given

    rig.ledger.observed._record = slowly  # type: ignore[method-assign]  # the write is replaced
    look(rig)
    assert types(rig) == [REFUND]


def test_a_look_that_is_never_reported_is_made_again(rig: Rig) -> None:
    """The worker was killed in the middle of it."""
    order = rig.order(AFTER)
    switch_on(rig)
    rig.simulator.merchant_refunds(order.id)
    make_due(rig)
    assert rig.ledger.observed.take() is not None
    assert rig.ledger.observed.take() is None
    look(rig)
    assert types(rig) == [REFUND]


def test_a_look_that_fails_is_made_again(rig: Rig, log: io.StringIO) -> None:
    """From the same place."""
    order = rig.order(AFTER)
    switch_on(rig)
    rig.simulator.merchant_refunds(order.id)
    for fault in (
        Fault("status", "search_orders", status=503),
        Fault("status", "search_orders", status=429),
        Fault("odd", "search_orders", body={"orders": [{"id": order.id}]}),
    ):
        rig.simulator.script(fault)
        look(rig)
        rig.redis.delete(rig.key("rate", STORE_ID), rig.key("throttled", STORE_ID))
    assert log.getvalue().count('"store.observe_failed"') == 3
    assert told(rig) == []
    look(rig)
    assert types(rig) == [REFUND]


def test_looks_come_behind_the_refunds_of_their_store(rig: Rig) -> None:
    """They wait while its lane is not empty, but not for ever."""
    switch_on(rig)
    rig.redis.zadd(rig.key("lane", STORE_ID), {"rf-waits": 1})
    look(rig)
    assert calls(rig) == []
    assert rig.redis.zscore(rig.key("observing"), STORE_ID) > PUT_OFF_MS
    shift(rig, "due_ms", -400_000)
    look(rig)
    assert calls(rig) == ["search_orders"]


@pytest.mark.parametrize("why", ["suspended", "paused", "rate"])
def test_looks_wait_while_the_store_may_not_be_asked(rig: Rig, why: str) -> None:
    """What happens meanwhile is told afterwards."""
    order = rig.order(AFTER)
    switch_on(rig)
    name = rig.key("paused") if why == "paused" else rig.key(why, STORE_ID)
    if why == "rate":
        rig.redis.set(name, 10**14)
    else:
        rig.redis.hset(name, STORE_ID if why == "paused" else "since_ms", "{}")
    rig.simulator.merchant_refunds(order.id)
    look(rig, 2)
    assert calls(rig) == []
    rig.redis.delete(name)
    look(rig)
    assert types(rig) == [REFUND]


def test_what_was_told_is_remembered_as_long_as_it_could_be_told_again(rig: Rig) -> None:
    """Older acts are neither remembered nor told."""
    order = rig.order(AFTER)
    switch_on(rig)
    shift(rig, "on_ms", -2 * KEEP_MS)
    refund = rig.simulator.merchant_refunds(order.id, amount="5.00")
    look(rig)
    rig.redis.zincrby(rig.key("observed", STORE_ID), -KEEP_MS - 1_000, f"refund:{refund['id']}")
    order.refunds[0]["createdDate"] = iso(rig.simulator.clock_ms() - KEEP_MS - 1_000)
    look(rig)
    assert rig.redis.zcard(rig.key("observed", STORE_ID)) == 0
    look(rig)
    assert types(rig) == [REFUND]
