"""Money guards: a refund that would pass a limit waits for people before anything is changed."""

from __future__ import annotations

import pytest

from statemachine.flows import State
from tests.support.guards import (
    HOUR_MS,
    MINUTE_MS,
    counted,
    guarded,
    pass_time,
    run_refund,
    state_of,
)
from tests.support.rig import AFTER, ANN, BEFORE, STORE_ID, Rig
from worker.errors import Retryable
from worker.operations.acts import refunds as acts
from worker.refund.money import money
from worker.refund.outcomes import read
from worker.simulator import Fault

#: What an order of the rig has taken: 101.40 USD.
WHOLE = 1_014_000


def _moved(rig: Rig) -> int:
    return sum(len(order.refunds) for order in rig.simulator.orders.values())


def test_nothing_is_counted_without_limits(rig: Rig) -> None:
    """The guards are off by default, and cost nothing."""
    assert state_of(rig, run_refund(rig)) == "refunded"
    names = [key for key in rig.redis.scan_iter(rig.key("*")) if "guard" in key or "usual" in key]
    assert names == []


def test_a_refund_above_the_limit_is_held_and_told(redis_url: str) -> None:
    """Nothing is sent to Wix, the state is kept, no attempt is spent, and upstream hears why."""
    with guarded(redis_url, refund="50 USD") as rig:
        refund_id = run_refund(rig)
        assert state_of(rig, refund_id) == "refundable refund"
        refund = rig.load(refund_id)
        assert (refund.reason["reason"], refund.attempt, _moved(rig)) == ("needs_approval", 0, 0)
        assert refund.hold["why"] == "101.40 USD is more than 50.00 USD per refund"
        event = [event for _, event in read(rig.redis, rig.settings.namespace)][-1]
        assert event["type"] == "refund.approval_needed"
        told = event["data"]
        assert told["amount"] == money("101.40", "USD")
        assert (told["limits"], told["approvals_needed"]) == (["refund"], 1)
        assert told["reason"]["reason"] == "needs_approval"
        assert counted(rig) == (0, 0)
        assert state_of(rig, run_refund(rig, "50.00")) == "refunded"


def test_limits_are_by_currency(redis_url: str) -> None:
    """A currency without a limit has none."""
    with guarded(redis_url, refund="50 USD, 20 EUR") as rig:
        assert state_of(rig, run_refund(rig, "30.00", currency="EUR")) == "refundable refund"
        assert state_of(rig, run_refund(rig, "30.00")) == "refunded"
        assert state_of(rig, run_refund(rig, currency="GBP")) == "refunded"


def test_a_store_may_have_its_own_limits(redis_url: str) -> None:
    """They take the place of those of every store."""
    with guarded(redis_url, refund=f"50 USD; {STORE_ID.upper()}: 200 USD") as rig:
        assert state_of(rig, run_refund(rig)) == "refunded"


@pytest.mark.parametrize("name", ["store_hour", "store_day", "all_hour", "all_day"])
def test_a_number_of_refunds_is_limited(redis_url: str, name: str) -> None:
    """The limit itself may be reached; what is held is not counted."""
    with guarded(redis_url, **{name: "2 refunds"}) as rig:
        found = [state_of(rig, run_refund(rig, "1.00")) for _ in range(4)]
        assert found == ["refunded", "refunded", f"refundable {name}", f"refundable {name}"]
        assert counted(rig) == counted(rig, "*") == (2, 20_000)


@pytest.mark.parametrize("name", ["store_hour", "store_day", "all_hour", "all_day"])
def test_an_amount_is_limited(redis_url: str, name: str) -> None:
    """A smaller refund may still fit."""
    with guarded(redis_url, **{name: "10.50 USD"}) as rig:
        found = [
            state_of(rig, run_refund(rig, amount)) for amount in ("6.00", "4.51", "4.50", "0.01")
        ]
        held = f"refundable {name}"
        assert found == ["refunded", held, "refunded", held]


@pytest.mark.parametrize(
    ("name", "still_ms", "over_ms"),
    [
        ("store_hour", HOUR_MS - MINUTE_MS, HOUR_MS + MINUTE_MS),
        ("all_day", 23 * HOUR_MS, 25 * HOUR_MS),
    ],
)
def test_what_is_older_than_the_window_does_not_count(
    redis_url: str, name: str, still_ms: int, over_ms: int
) -> None:
    """Any hour and any day is limited, wherever it begins."""
    with guarded(redis_url, **{name: "1 refund"}) as rig:
        assert state_of(rig, run_refund(rig, "1.00")) == "refunded"
        pass_time(rig, still_ms)
        assert state_of(rig, run_refund(rig, "1.00")) == f"refundable {name}"
        pass_time(rig, over_ms - still_ms)
        assert state_of(rig, run_refund(rig, "1.00")) == "refunded"


def test_a_refund_counts_once_however_often_its_step_is_retried(redis_url: str) -> None:
    """Calls that do not arrive, and calls with an unknown effect."""
    with guarded(redis_url, store_hour="1 refund, 101.40 USD") as rig:
        rig.simulator.script(
            Fault("status", "submit_refund", status=503), Fault("drop", "submit_refund")
        )
        assert state_of(rig, run_refund(rig)) == "refunded"
        assert counted(rig) == (1, WHOLE)


def test_a_rejected_refund_gives_its_share_back(redis_url: str) -> None:
    """Wix refused it for good, and no call can still take effect."""
    with guarded(redis_url, store_hour="1 refund") as rig:
        code = "INVALID_SHIPPING_REFUND_AMOUNT"
        rig.simulator.script(Fault("status", "submit_refund", status=400, code=code))
        assert state_of(rig, run_refund(rig)) == "rejected"
        assert counted(rig) == counted(rig, "*") == (0, 0)
        assert state_of(rig, run_refund(rig)) == "refunded"


def test_a_refund_that_is_called_off_gives_its_share_back(redis_url: str) -> None:
    """No call was made: there was no connection to Wix."""
    with guarded(redis_url, store_hour="1 refund") as rig:

        def lose_connection() -> None:
            rig.at.clear()
            raise Retryable("submit_refund", detail="ConnectError")

        rig.at["before_call"] = lose_connection
        refund_id = rig.request(rig.order(AFTER))
        rig.run_queued()
        assert counted(rig) == counted(rig, "*") == (1, WHOLE)
        acts.cancel(rig.acts, refund_id, operator=ANN)
        assert state_of(rig, refund_id) == "called_off"
        assert counted(rig) == counted(rig, "*") == (0, 0)


def test_a_dead_letter_keeps_its_share(redis_url: str) -> None:
    """A replay goes on with it, and does not count again."""
    with guarded(redis_url, store_hour="1 refund") as rig:
        rig.simulator.script(Fault("status", "submit_refund", status=428, code="SOMETHING_NEW"))
        refund_id = run_refund(rig)
        assert state_of(rig, refund_id) == "dead"
        assert counted(rig) == (1, WHOLE)
        rig.replay(refund_id, operator="ann")
        rig.run_until_idle()
        assert state_of(rig, refund_id) == "refunded"
        assert counted(rig) == (1, WHOLE)


def test_a_replay_long_after_counts_when_it_moves_money(redis_url: str) -> None:
    """Dead letters that are replayed together cannot pass the limit of an hour together."""
    with guarded(redis_url, store_hour="1 refund") as rig:
        letters = []
        for _ in range(3):
            rig.simulator.script(Fault("status", "submit_refund", status=428, code="NEW"))
            letters.append(run_refund(rig))
            pass_time(rig, 2 * HOUR_MS)
        for refund_id in letters:
            rig.replay(refund_id, operator="ann")
        rig.run_until_idle()
        found = [state_of(rig, refund_id) for refund_id in letters]
        assert sorted(found) == ["refundable store_hour", "refundable store_hour", "refunded"]
        assert counted(rig) == (1, WHOLE)


def test_an_old_order_is_held_before_anything_is_changed(redis_url: str) -> None:
    """A cancelled order counts with what it had taken, which somebody must pay back."""
    with guarded(redis_url, refund="50 USD") as rig:
        order = rig.order(BEFORE, fulfillments=2)
        refund_id = rig.request(order)
        rig.run_until_idle()
        assert state_of(rig, refund_id) == "fulfilled refund"
        assert rig.load(refund_id).approval["amount"] == "101.40"
        assert (len(order.fulfillments), order.cancellations) == (2, 0)


def test_what_was_begun_is_finished(redis_url: str) -> None:
    """An order whose fulfillments are deleted is cancelled, also after the limits are reached."""
    with guarded(redis_url, all_day="1 refund, 110 USD") as rig:
        rig.simulator.script(Fault("status", "cancel_order", status=503))
        refund_id = rig.request(rig.order(BEFORE, fulfillments=1))
        rig.run_queued()
        assert rig.load(refund_id).state is State.UNFULFILLED
        pass_time(rig, 30 * HOUR_MS)
        assert state_of(rig, run_refund(rig)) == "refunded"
        rig.run_until_idle()
        assert state_of(rig, refund_id) == "cancelled"


def test_an_amount_that_is_not_known_is_held_where_amounts_are_limited(redis_url: str) -> None:
    """In doubt a person decides."""
    with guarded(redis_url, store_day="1000 USD") as rig:
        assert state_of(rig, run_refund(rig, created=BEFORE, extra={"balanceSummary": None})) == (
            "unfulfilled refund"
        )
    with guarded(redis_url, store_day="10 refunds") as rig:
        assert (
            state_of(rig, run_refund(rig, created=BEFORE, extra={"balanceSummary": None}))
            == "cancelled"
        )


def test_a_surge_is_held_once_enough_is_known(redis_url: str) -> None:
    """Ten an hour are usual: 30 are not. Before a day of hours is known, all pass."""
    with guarded(redis_url, store_surge="2x above 3") as rig:
        hour = int(rig.redis.time()[0]) // 3600
        before = {str(hour - n): 2 for n in range(1, 24)}
        for scope in (STORE_ID, "*"):
            rig.redis.hset(rig.key("usual", scope), mapping=before)
        assert [state_of(rig, run_refund(rig, "1.00")) for _ in range(5)] == ["refunded"] * 5
        for scope in (STORE_ID, "*"):
            rig.redis.hset(rig.key("usual", scope), str(hour - 24), 2)
        refund_id = run_refund(rig, "1.00")
        assert state_of(rig, refund_id) == "refundable store_surge"
        assert "far more than usual (over 4)" in rig.load(refund_id).hold["why"]


def test_old_counts_are_forgotten(redis_url: str) -> None:
    """A hash holds an hour of minutes, a day of hours or a week of hours, and ends by itself."""
    with guarded(redis_url, store_hour="1000 refunds") as rig:
        for _ in range(4):
            run_refund(rig, "1.00")
            pass_time(rig, 8 * 24 * HOUR_MS)
        run_refund(rig, "1.00")
        for scope in (STORE_ID, "*"):
            assert rig.redis.hlen(rig.key("guard", scope)) == 4
            assert rig.redis.hlen(rig.key("usual", scope)) == 1
            assert rig.redis.ttl(rig.key("guard", scope)) > 13 * 86_400
            assert rig.redis.ttl(rig.key("usual", scope)) > 13 * 86_400


def test_a_step_of_the_servers_clock_does_not_empty_a_window(redis_url: str) -> None:
    """The guards measure by the ledger's clock."""
    with guarded(redis_url, store_hour="1 refund") as rig:
        assert state_of(rig, run_refund(rig, "1.00")) == "refunded"
        rig.ledger.wake_due("rig", lead_ms=1, boot_id="b", boot_ms=1)
        rig.redis.hincrby(rig.key("clock"), "offset_ms", 2 * HOUR_MS)
        assert state_of(rig, run_refund(rig, "1.00")) == "refundable store_hour"
