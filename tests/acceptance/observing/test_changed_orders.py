"""Which orders a look reads: those that have changed, page by page, however the index behaves."""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import Any

import pytest

from tests.support.merchants import calls, look, make_due, shift, switch_on, told, types
from tests.support.rig import AFTER, STORE_ID, Rig
from worker.ledger import observed
from worker.simulator import Fault
from worker.simulator.world.orders import Order
from worker.simulator.world.provider import iso

REFUND, CANCEL = "refund.observed", "order.cancelled_by_merchant"
SEARCH = "search_orders"
MINUTE_MS = 60_000


@pytest.fixture
def clock(rig: Rig) -> Iterator[list[int]]:
    """Wix's clock, which begins at the server's: the only element is how far it is ahead."""
    ahead, wall = [0], rig.simulator.clock_ms
    rig.simulator.clock_ms = lambda: wall() + ahead[0]
    yield ahead
    rig.simulator.clock_ms = wall


def _refund(rig: Rig, amount: str = "1.00") -> Order:
    order = rig.order(AFTER)
    rig.simulator.merchant_refunds(order.id, amount=amount)
    return order


def _observer(rig: Rig) -> dict[str, str]:
    found: dict[str, str] = rig.redis.hgetall(rig.key("observer", STORE_ID))
    return found


def test_an_order_that_the_index_shows_late_is_found(rig: Rig, clock: list[int]) -> None:
    """Although others that changed later were found before: each look begins earlier."""
    rig.simulator.set_flags(search_lag_ms=observed.OVERLAP_MS - MINUTE_MS)
    late = rig.order(AFTER)
    switch_on(rig)
    rig.simulator.merchant_refunds(late.id)
    look(rig)
    assert told(rig) == []
    clock[0] = observed.OVERLAP_MS - 2 * MINUTE_MS
    newer = _refund(rig)
    rig.simulator._before.pop(newer.id)  # the index shows it at once
    look(rig)
    assert [event["subject"] for event in told(rig)] == [newer.id]
    clock[0] += MINUTE_MS
    look(rig)
    assert {event["subject"] for event in told(rig)} == {newer.id, late.id}


def test_a_refund_that_is_listed_late_is_found(rig: Rig, clock: list[int]) -> None:
    """The order has changed, but the list of its transactions lags behind."""
    rig.simulator.set_flags(refund_list_lag_ms=5 * MINUTE_MS)
    switch_on(rig)
    _refund(rig)
    look(rig, 2)
    assert told(rig) == []
    clock[0] = 5 * MINUTE_MS
    look(rig)
    assert types(rig) == [REFUND]


def test_many_changes_are_read_page_by_page(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    """One page in each look, at once; then the pause is longer, so that it is one a minute."""
    monkeypatch.setattr("worker.steps.observe.PER_PAGE", 3)
    switch_on(rig)
    ahead = iter(range(7))
    wall = rig.simulator.clock_ms()
    rig.simulator.clock_ms = lambda: wall + 1_000 * next(ahead, 10)
    orders = [_refund(rig) for _ in range(7)]
    for number, order in enumerate(orders):
        order.updated_date = iso(wall + 1_000 * number)
    make_due(rig)
    rig.observer.turn(lambda: False)
    # A page begins with the last order of the one before.
    assert calls(rig).count(SEARCH) == 4
    assert {event["subject"] for event in told(rig)} == {order.id for order in orders}
    assert types(rig) == 7 * [REFUND]
    kept = _observer(rig)
    assert "at_ms" not in kept
    assert int(kept["cursor_ms"]) == wall + 6_000
    due_in_ms = rig.redis.zscore(rig.key("observing"), STORE_ID) - rig.ledger.now_ms()
    assert 3 * observed.EVERY_MS < due_in_ms <= 4 * observed.EVERY_MS


def test_more_orders_than_a_page_may_change_at_once(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A bulk act: a page that begins where it ends would be read for ever."""
    monkeypatch.setattr("worker.steps.observe.PER_PAGE", 3)
    switch_on(rig)
    orders = [_refund(rig) for _ in range(8)]
    at = iso(rig.simulator.clock_ms() + MINUTE_MS)
    for order in orders:
        order.updated_date = at
    make_due(rig)
    rig.observer.turn(lambda: False)
    assert {event["subject"] for event in told(rig)} == {order.id for order in orders}


def test_a_search_that_is_not_sorted_is_not_believed(rig: Rig, log: io.StringIO) -> None:
    """The orders between two pages would be passed over."""
    switch_on(rig)
    older, newer = _refund(rig), _refund(rig)
    newer.updated_date = iso(rig.simulator.clock_ms() + MINUTE_MS)
    found: dict[str, Any] = {"orders": []}
    for order in (newer, older):
        shown = {"id": order.id, "status": "APPROVED", "currency": "USD"}
        found["orders"].append(shown | {"updatedDate": order.updated_date})
    rig.simulator.script(Fault("odd", SEARCH, body=found))
    look(rig)
    assert "the orders are not sorted" in log.getvalue()
    look(rig)
    assert types(rig) == 2 * [REFUND]


def test_after_a_quiet_day_little_is_read_again(rig: Rig) -> None:
    """Else the orders of one busy quarter of an hour would be read until the next one changes."""
    switch_on(rig)
    shift(rig, "cursor_ms", -10 * observed.QUIET_MS)
    before = int(_observer(rig)["cursor_ms"])
    look(rig)
    assert int(_observer(rig)["cursor_ms"]) - before > 8 * observed.QUIET_MS


def test_a_date_in_the_future_does_not_hide_what_follows(rig: Rig) -> None:
    """Wix may show an odd date, or its clock may be ahead of ours."""
    switch_on(rig)
    _refund(rig).updated_date = "2199-01-01T00:00:00.000Z"
    look(rig)
    _refund(rig)
    look(rig)
    assert types(rig) == 2 * [REFUND]


def test_a_refund_that_does_not_touch_the_order_is_told_when_the_order_changes(rig: Rig) -> None:
    """Whether Wix then changes `updatedDate` is unknown (W27); until then nothing shows it."""
    rig.simulator.set_flags(refund_touches_order=False)
    order = rig.order(AFTER)
    switch_on(rig)
    rig.simulator.merchant_refunds(order.id)
    look(rig, 2)
    assert told(rig) == []
    rig.simulator.merchant_archives(order.id)
    look(rig)
    assert types(rig) == [REFUND]


@pytest.mark.parametrize("omits", ["archived", "canceled"])
def test_orders_that_a_search_never_finds_are_not_told(rig: Rig, omits: str) -> None:
    """What is unclear about them is given up some day, and nothing else suffers."""
    order = rig.order(AFTER, archived=omits == "archived")
    switch_on(rig)
    rig.simulator.merchant_cancels(order.id)
    look(rig)
    rig.simulator.set_flags(search_omits=omits)
    look(rig, 2)
    assert told(rig) == []
    rig.redis.zincrby(
        rig.key("observe_again", STORE_ID), -observed.GIVE_UP_MS - 3_700_000, order.id
    )
    _refund(rig)
    look(rig)
    assert types(rig) == [REFUND]
    assert rig.redis.zcard(rig.key("observe_again", STORE_ID)) == 0


def test_without_a_date_the_last_change_counts_as_the_cancel(rig: Rig) -> None:
    """Whether Wix lists when an order was cancelled is unknown for an API key (W27)."""
    rig.simulator.set_flags(cancel_activity=False)
    switch_on(rig)
    order = rig.order(AFTER)
    rig.simulator.merchant_cancels(order.id)
    look(rig, 3)
    assert types(rig) == [CANCEL]
    assert told(rig)[0]["data"]["happened_at"] is None


def test_orders_that_the_list_of_transactions_lacks_are_looked_at_again(rig: Rig) -> None:
    """Some at once, one by one; the others later (W54)."""
    rig.simulator.set_flags(orders_per_list=0)
    switch_on(rig)
    orders = [_refund(rig) for _ in range(7)]
    look(rig)
    assert len(types(rig)) == 5
    rig.simulator.set_flags(orders_per_list=100)
    shift(rig, "cursor_ms", MINUTE_MS)
    look(rig)
    assert {event["subject"] for event in told(rig)} == {order.id for order in orders}
