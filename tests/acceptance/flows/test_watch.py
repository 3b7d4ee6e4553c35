"""A provider may reverse a finished refund: upstream is notified, and the refund stays finished."""

from __future__ import annotations

import io
import json
from typing import Any

from statemachine.flows import State
from tests.support.looks import look_again
from tests.support.lost_replies import lose_reply
from tests.support.rig import AFTER, BEFORE, STORE_ID, Rig, settings_for
from worker.ledger.claims import Change
from worker.ledger.looks import PUT_OFF_MS
from worker.refund.money import money
from worker.refund.outcomes import read
from worker.refund.record import Refund
from worker.simulator import Fault, Simulator
from worker.steps.transactions import MOST_ALONE

#: The call for the transactions of several orders.
SEVERAL = "list_transactions_of_orders"
DAY_MS = 86_400_000


def _outcomes(rig: Rig) -> list[dict[str, Any]]:
    return [event for _, event in read(rig.broker.client, rig.settings.namespace)]


def _is_watched(rig: Rig, refund_id: str) -> bool:
    line = rig.key("looks", STORE_ID)
    return any(rig.redis.zscore(key, refund_id) for key in (rig.key("watch"), line))


def test_a_reversal_and_its_end_are_each_reported_once(rig: Rig) -> None:
    """SUCCEEDED may become PENDING again; the record stays refunded, its history shows both."""
    order = rig.order(AFTER)
    refund = rig.run(order)
    look_again(rig)
    rig.simulator.provider_says(order.id, "PENDING")
    look_again(rig)
    look_again(rig)
    rig.simulator.provider_says(order.id, "SUCCEEDED")
    look_again(rig)
    types = [event["type"] for event in _outcomes(rig)]
    assert types[2:] == ["refund.reversed", "refund.settled_again"]
    reversed_event = _outcomes(rig)[2]["data"]
    assert reversed_event["payments"][0]["status"] == "PENDING"
    assert reversed_event["amount"] == money("101.40", "USD")
    assert rig.load(refund.refund_id).state is State.REFUNDED
    events = [line["event"] for line in rig.ledger.history(refund.refund_id)]
    assert events[-2:] == ["refund.reversed", "refund.settled_again"]


def test_payments_in_another_order_are_not_a_change(rig: Rig) -> None:
    """Wix may list them in any order."""
    order = rig.order(AFTER, payments=[{"amount": "20.00"}, {"amount": "7.00"}])
    rig.run(order)
    order.refunds[0]["transactions"].reverse()
    look_again(rig)
    assert [event["type"] for event in _outcomes(rig)][2:] == []


def test_a_reversal_is_reported_once_even_if_a_reply_of_redis_is_lost(rig: Rig) -> None:
    """The script runs again; two event ids would look like two reversals to upstream."""
    order = rig.order(AFTER)
    rig.run(order)
    rig.simulator.provider_says(order.id, "FAILED")
    lose_reply(rig.ledger._scripts, "watched")
    look_again(rig)
    assert [event["type"] for event in _outcomes(rig)][2:] == ["refund.reversed"]


def test_two_looks_at_once_report_a_reversal_once(rig: Rig) -> None:
    """A look was handed out again: the second began before the first was written."""
    order = rig.order(AFTER)
    refund = rig.run(order)
    rig.simulator.provider_says(order.id, "FAILED")
    first = rig.ledger.watched.changed

    def slowly(looked_at: Refund, change: Change, **found: Any) -> None:
        rig.ledger.watched.changed = first  # type: ignore[method-assign]  # as it was
        look_again(rig)
        first(looked_at, change, **found)

    rig.ledger.watched.changed = slowly  # type: ignore[assignment,method-assign]  # the write is replaced
    look_again(rig)
    assert [event["type"] for event in _outcomes(rig)][2:] == ["refund.reversed"]
    events = [line["event"] for line in rig.ledger.history(refund.refund_id)]
    assert events.count("refund.reversed") == 1


def test_a_check_that_fails_is_made_later(rig: Rig) -> None:
    """Wix may be unavailable; the watch continues."""
    order = rig.order(AFTER)
    rig.run(order)
    rig.simulator.script(Fault("status", "list_transactions", status=503))
    rig.simulator.provider_says(order.id, "FAILED")
    look_again(rig)
    assert len(_outcomes(rig)) == 2
    look_again(rig)
    assert _outcomes(rig)[-1]["type"] == "refund.reversed"


def test_a_look_that_fails_is_repeated_for_a_day_beyond_the_end(rig: Rig) -> None:
    """There are only two looks, so an outage must not swallow one; but it must end some day."""
    refund = rig.run(rig.order(AFTER))
    rig.simulator.script(Fault("status", "list_transactions", status=503, times=2))
    ended_ms = rig.load(refund.refund_id).updated_at_ms - 1000 * rig.settings.watch_for_s
    record = rig.key("refund", refund.refund_id)
    for age_ms, is_left in ((0, True), (DAY_MS, False)):
        rig.redis.hset(record, "updated_at_ms", ended_ms - age_ms)
        look_again(rig)
        assert _is_watched(rig, refund.refund_id) == is_left


def test_a_refund_is_looked_at_twice(rig: Rig) -> None:
    """After an hour, and after three days; each look may be up to five minutes late."""
    refund = rig.run(rig.order(AFTER))
    ended_ms = rig.load(refund.refund_id).updated_at_ms
    for after_ms in (3_600_000, 3 * DAY_MS):
        planned_ms = rig.redis.zscore(rig.key("watch"), refund.refund_id)
        assert 0 <= planned_ms - ended_ms - after_ms <= 301_000
        assert planned_ms % 300_000 == 0
        look_again(rig)
    rig.redis.zadd(rig.key("watch"), {refund.refund_id: 1})
    rig.redis.hincrby(rig.key("refund", refund.refund_id), "updated_at_ms", -3 * DAY_MS)
    look_again(rig)
    assert not _is_watched(rig, refund.refund_id)


def test_what_no_provider_can_reverse_is_not_watched(redis_url: str, simulator: Simulator) -> None:
    """Cancelled orders, recorded payments, and everything if the watch is switched off."""
    rig = Rig(settings_for(redis_url, watch_for_s="0"), simulator)
    rig.run(rig.order(AFTER))
    assert rig.redis.zcard(rig.key("watch")) == 0
    rig.close()
    rig = Rig(settings_for(redis_url), simulator)
    rig.run(rig.order(BEFORE))
    rig.run(
        rig.order(AFTER, payments=[{"amount": "1.00", "offline": True}]), manual_payments="record"
    )
    assert rig.redis.zcard(rig.key("watch")) == 0
    rig.close()


def test_the_looks_of_a_store_share_calls(rig: Rig) -> None:
    """A hundred orders per call, charged to the store's rate; nothing waits in the queue."""
    refunds = [rig.run(rig.order(AFTER)) for _ in range(3)]
    orders = [rig.order(AFTER) for _ in range(118)]
    for number, order in enumerate(orders):
        again = f"copy-{number}"
        rig.redis.copy(rig.key("refund", refunds[0].refund_id), rig.key("refund", again))
        job = json.dumps({"refund_id": again, "store_id": STORE_ID, "order_id": order.id})
        rig.redis.hset(rig.key("refund", again), mapping={"request": job, "order_id": order.id})
        rig.redis.zadd(rig.key("watch"), {again: 1})
    rig.simulator.calls.clear()
    look_again(rig)
    assert [call["endpoint"] for call in rig.simulator.calls] == 2 * [SEVERAL]
    assert rig.redis.llen(rig.key("steps")) == 0


def test_orders_that_are_missing_in_the_answer_are_asked_for_alone(
    rig: Rig, log: io.StringIO
) -> None:
    """Whether Wix leaves orders out is unknown; what it does not list is not unchanged."""
    orders = [rig.order(AFTER) for _ in range(9)]
    for order in orders:
        rig.run(order)
        rig.simulator.provider_says(order.id, "FAILED")
    rig.simulator.set_flags(orders_per_list=2)
    look_again(rig)
    assert log.getvalue().count('"refund.recheck_failed"') == 1
    assert log.getvalue().count('"refund.reversed"') == 2 + MOST_ALONE
    look_again(rig)
    assert log.getvalue().count('"refund.reversed"') == len(orders)


def test_without_the_call_for_several_orders_looks_are_made_one_by_one(rig: Rig) -> None:
    """It is documented, but we have not seen it work with an API key."""
    for _ in range(2):
        order = rig.order(AFTER)
        rig.run(order)
        rig.simulator.provider_says(order.id, "FAILED")
    rig.simulator.script(Fault("odd", SEVERAL, body={}), Fault("status", SEVERAL, status=404))
    look_again(rig)
    assert [event["type"] for event in _outcomes(rig)].count("refund.reversed") == 2


def test_looks_come_behind_the_refunds_of_their_store(rig: Rig) -> None:
    """They wait while its lane is not empty, but not for ever."""
    rig.run(rig.order(AFTER))
    rig.redis.zadd(rig.key("lane", STORE_ID), {"rf-waits": 1})
    rig.simulator.calls.clear()
    rig.redis.zadd(rig.key("watch"), {rig.redis.zrange(rig.key("watch"), 0, 0)[0]: 1})
    rig.ledger.wake_due("rig", lead_ms=1)
    rig.watch.turn(lambda: False)
    assert rig.simulator.calls == []
    assert rig.redis.zscore(rig.key("look_stores"), STORE_ID) > PUT_OFF_MS
    look_again(rig)  # as if they had waited for long
    assert [call["endpoint"] for call in rig.simulator.calls] == ["list_transactions"]


def test_looks_wait_while_the_store_is_suspended_or_over_its_rate(redis_url: str) -> None:
    """A look is charged like any call, and a refused key is left to the probes."""
    rig = Rig(settings_for(redis_url, store_calls_per_min="1"), Simulator())
    rig.run(rig.order(AFTER))
    rig.redis.set(rig.key("rate", STORE_ID), 10**14)
    rig.simulator.calls.clear()
    look_again(rig)
    rig.redis.delete(rig.key("rate", STORE_ID))
    rig.redis.hset(rig.key("suspended", STORE_ID), "since_ms", 1)
    look_again(rig)
    assert rig.simulator.calls == []
    rig.redis.delete(rig.key("suspended", STORE_ID))
    look_again(rig)
    assert len(rig.simulator.calls) == 1
    assert rig.redis.exists(rig.key("rate", STORE_ID))
    rig.close()


def test_a_look_that_is_never_reported_is_made_again(rig: Rig) -> None:
    """The worker was killed in the middle of it."""
    refund = rig.run(rig.order(AFTER))
    rig.redis.zadd(rig.key("watch"), {refund.refund_id: 1})
    rig.ledger.wake_due("rig", lead_ms=1)
    looks = rig.ledger.watched.take()
    assert looks is not None
    assert [one.refund_id for one in looks.refunds] == [refund.refund_id]
    assert rig.ledger.watched.take() is None
    assert _is_watched(rig, refund.refund_id)


def test_a_message_of_the_older_version_does_no_harm(rig: Rig) -> None:
    """Its watch sent one per look; the look itself is made from the line."""
    refund = rig.run(rig.order(AFTER))
    body = {"queue_name": "steps", "actor_name": "recheck_refund", "args": [refund.refund_id]}
    more = {"kwargs": {}, "options": {"redis_message_id": "m-1"}, "message_id": "m-1"}
    rig.send_raw(json.dumps(body | more | {"message_timestamp": 1}), queue="steps")
    calls = len(rig.simulator.calls)
    assert rig.run_queued() == 1
    assert len(rig.simulator.calls) == calls
    assert rig.broker.quarantined() == {}
    assert _is_watched(rig, refund.refund_id)
