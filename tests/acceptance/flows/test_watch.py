"""A provider may reverse a finished refund: upstream is notified, and the refund stays finished."""

from __future__ import annotations

from typing import Any

from statemachine.flows import State
from tests.support.rig import AFTER, BEFORE, Rig, lose_reply, settings_for
from worker.queue.delivery import Delivery
from worker.refund.outcomes import read
from worker.simulator import Fault, Simulator


def _outcomes(rig: Rig) -> list[dict[str, Any]]:
    return [event for _, event in read(rig.broker.client, rig.settings.namespace)]


def _check(rig: Rig) -> None:
    """Make the next check of the watch due, and run it."""
    for refund_id in rig.redis.zrange(rig.key("watch"), 0, -1):
        rig.redis.zadd(rig.key("watch"), {refund_id: 1})
    rig.ledger.wake_due("rig", lead_ms=1)
    rig.run_queued()


def test_a_reversal_and_its_end_are_each_reported_once(rig: Rig) -> None:
    """SUCCEEDED may become PENDING again; the record stays refunded, its history shows both."""
    order = rig.order(AFTER)
    refund = rig.run(order)
    _check(rig)
    rig.simulator.provider_says(order.id, "PENDING")
    _check(rig)
    _check(rig)
    rig.simulator.provider_says(order.id, "SUCCEEDED")
    _check(rig)
    types = [event["type"] for event in _outcomes(rig)]
    assert types[2:] == ["refund.reversed", "refund.settled_again"]
    reversed_event = _outcomes(rig)[2]["data"]
    assert reversed_event["payments"][0]["status"] == "PENDING"
    assert reversed_event["amount"] == {"amount": "101.40", "currency": "USD"}
    assert rig.load(refund.refund_id).state is State.REFUNDED
    events = [line["event"] for line in rig.ledger.history(refund.refund_id)]
    assert events[-2:] == ["refund.reversed", "refund.settled_again"]


def test_payments_in_another_order_are_not_a_change(rig: Rig) -> None:
    """Wix may list them in any order."""
    order = rig.order(AFTER, payments=[{"amount": "20.00"}, {"amount": "7.00"}])
    rig.run(order)
    order.refunds[0]["transactions"].reverse()
    _check(rig)
    assert [event["type"] for event in _outcomes(rig)][2:] == []


def test_a_reversal_is_reported_once_even_if_a_reply_of_redis_is_lost(rig: Rig) -> None:
    """The script runs again; two event ids would look like two reversals to upstream."""
    order = rig.order(AFTER)
    rig.run(order)
    rig.simulator.provider_says(order.id, "FAILED")
    lose_reply(rig.ledger._scripts, "watched")
    _check(rig)
    assert [event["type"] for event in _outcomes(rig)][2:] == ["refund.reversed"]


def test_two_checks_at_once_report_a_reversal_once(rig: Rig) -> None:
    """A message was repeated: the second check began before the first was written."""
    order = rig.order(AFTER)
    refund = rig.run(order)
    rig.simulator.provider_says(order.id, "FAILED")
    late = rig.ledger.watched

    def slowly(refund_id: str, delivery: Delivery, **found: Any) -> None:
        rig.ledger.watched = late  # type: ignore[method-assign]  # as it was
        rig.watch.recheck_refund(refund_id, rig.delivery(message_id="second"))
        late(refund_id, delivery, **found)

    rig.ledger.watched = slowly  # type: ignore[method-assign]  # the write is replaced
    _check(rig)
    assert [event["type"] for event in _outcomes(rig)][2:] == ["refund.reversed"]
    events = [line["event"] for line in rig.ledger.history(refund.refund_id)]
    assert events.count("refund.reversed") == 1


def test_a_check_that_fails_is_made_later(rig: Rig) -> None:
    """Wix may be unavailable; the watch continues."""
    order = rig.order(AFTER)
    rig.run(order)
    rig.simulator.script(Fault("status", "list_transactions", status=503))
    rig.simulator.provider_says(order.id, "FAILED")
    _check(rig)
    assert len(_outcomes(rig)) == 2
    _check(rig)
    assert _outcomes(rig)[-1]["type"] == "refund.reversed"


def test_a_watch_ends_after_its_time(rig: Rig) -> None:
    """After that, nobody checks any more."""
    refund = rig.run(rig.order(AFTER))
    assert rig.redis.zcard(rig.key("watch")) == 1
    rig.redis.hset(rig.key("refund", refund.refund_id), "updated_at_ms", 1)
    _check(rig)
    assert rig.redis.zcard(rig.key("watch")) == 0


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


def test_a_lost_message_of_the_watch_is_sent_again(rig: Rig) -> None:
    """The next check is planned before the message is sent."""
    rig.run(rig.order(AFTER))
    refund_id = rig.redis.zrange(rig.key("watch"), 0, 0)[0]
    rig.redis.zadd(rig.key("watch"), {refund_id: 1})
    rig.ledger.wake_due("rig", lead_ms=1)
    rig.redis.delete(rig.key("steps"))
    assert rig.redis.zscore(rig.key("watch"), refund_id) > 1
