"""Many refunds of a store wait: one search serves up to a hundred of them."""

from __future__ import annotations

from collections import Counter

from statemachine.flows import State
from tests.support.rig import AFTER, BEFORE, Rig
from worker.flows.backlog import LEAST_WAITING, MAX_AGE_S, PER_SEARCH, Backlog
from worker.simulator import Fault

MANY = 40


def _calls(rig: Rig) -> Counter[str]:
    return Counter(call["endpoint"] for call in rig.simulator.calls)


def _ask_for(rig: Rig, count: int, created: str = AFTER) -> list[str]:
    ids = [rig.request(rig.order(created)) for _ in range(count)]
    while rig._waiting("refunds"):
        rig._one("refunds")
    return ids


def _ends(rig: Rig, ids: list[str]) -> set[State]:
    return {rig.load(refund_id).state for refund_id in ids}


def test_a_backlog_makes_three_calls_per_refund(rig: Rig) -> None:
    """The look, what is left of the payments, and the refund; the order comes from a search."""
    rig.next_step_is_here = True
    rig.simulator.set_flags(refund_answer="settled")
    ids = _ask_for(rig, MANY)
    rig.run_until_idle()
    assert _ends(rig, ids) == {State.REFUNDED}
    calls = _calls(rig)
    assert calls["search_orders"] == 1
    assert calls["get_order"] == 0
    assert calls.total() == 3 * MANY + 1


def test_a_search_finds_at_most_a_hundred_orders(rig: Rig) -> None:
    """So the next ones need another search."""
    ids = _ask_for(rig, PER_SEARCH + 20)
    rig.run_until_idle()
    assert _ends(rig, ids) == {State.REFUNDED}
    assert _calls(rig)["search_orders"] == 2


def test_few_refunds_are_read_one_by_one(rig: Rig) -> None:
    """A search for one order would save nothing."""
    _ask_for(rig, LEAST_WAITING)
    rig.run_until_idle()
    calls = _calls(rig)
    assert (calls["search_orders"], calls["get_order"]) == (0, LEAST_WAITING)


def test_an_order_that_is_cancelled_is_read_by_itself(rig: Rig) -> None:
    """Its state decides what happens to it, and a search may lag."""
    ids = _ask_for(rig, MANY, BEFORE)
    rig.run_until_idle()
    assert _ends(rig, ids) == {State.CANCELLED}
    assert _calls(rig)["get_order"] >= MANY


def test_what_the_index_shows_decides_nothing_that_may_have_changed(rig: Rig) -> None:
    """The merchant has refunded one order; another one is not approved: no search shows that."""
    rig.simulator.set_flags(search_lag_ms=10**9)
    ids = [rig.request(rig.order(AFTER)) for _ in range(MANY)]
    refunded, waiting = rig.order(AFTER), rig.order(AFTER, status="INITIALIZED")
    rig.simulator.merchant_refunds(refunded.id, reason="dashboard")
    theirs, late = rig.request(refunded), rig.request(waiting)
    rig.run_queued()
    assert rig.load(theirs).reason.get("reason") == "already_refunded"
    assert rig.load(late).state is State.ACCEPTED
    waiting.status = "APPROVED"
    rig.run_until_idle()
    assert _ends(rig, [*ids, late]) == {State.REFUNDED}
    assert len(refunded.refunds) == 1


def test_without_a_search_the_orders_are_read_one_by_one(rig: Rig) -> None:
    """It fails, or finds nothing that can be read."""
    rig.simulator.script(
        Fault("status", "search_orders", status=503),
        Fault("odd", "search_orders", body={"orders": [{"id": 1}]}, times=1_000),
    )
    ids = _ask_for(rig, MANY)
    rig.run_until_idle()
    assert _ends(rig, ids) == {State.REFUNDED}
    assert _calls(rig)["get_order"] == MANY


def test_an_old_search_is_not_used(rig: Rig) -> None:
    """Its orders are a minute old at most."""
    now = [0.0]
    backlog = Backlog(lambda: now[0], rig.ledger.waiting_orders)
    object.__setattr__(rig.steps, "backlog", backlog)
    _ask_for(rig, MANY)
    rig.run_one_step()
    now[0] = MAX_AGE_S + 1
    rig.run_one_step()
    assert _calls(rig)["search_orders"] == 2
