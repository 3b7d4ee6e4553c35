"""How many calls to Wix a refund makes when nothing goes wrong, as worker/README.md says."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from statemachine.flows import State
from tests.support.rig import AFTER, BEFORE, Rig
from worker.flows.reads import MAX_AGE_S, Reads, RecentReads
from worker.simulator import Fault

README = (Path(__file__).parents[3] / "worker/README.md").read_text()
TWO_LINES = [{"price": "12.00"}, {"price": "8.00"}]
PAID: dict[str, Any] = {"payments": [{"amount": "20.00"}], "lines": TWO_LINES}
UNPAID: dict[str, Any] = {"payments": [], "lines": TWO_LINES}
TWO_PARCELS = {"fulfillments": 2}
#: Date and fields of the order, by the first column of the table.
ORDERS: Mapping[str, tuple[str, Mapping[str, Any]]] = {
    "standard": (AFTER, PAID),
    "standard, the answer to the refund is not final": (AFTER, PAID),
    "standard, lines": (AFTER, PAID),
    "unfulfilled, nothing was paid": (BEFORE, UNPAID),
    "unfulfilled": (BEFORE, PAID),
    "two fulfillments, nothing was paid": (BEFORE, UNPAID | TWO_PARCELS),
    "two fulfillments": (BEFORE, PAID | TWO_PARCELS),
}


def _table() -> dict[str, list[str]]:
    """Return the calls of each row; "the same" stands for those of the row above."""
    part = README.partition("<!-- calls -->")[2].partition("<!-- end -->")[0]
    found: dict[str, list[str]] = {}
    before: list[str] = []
    for name, calls in re.findall(r"^\| ([a-z][^|]+) \| ([^|]+) \|", part, re.MULTILINE):
        if "`" in calls:
            before = (before if "the same" in calls else []) + re.findall(r"`(\w+)`", calls)
            found[name] = before
    return found


def test_every_row_is_tested() -> None:
    """A row that nobody counts would soon be wrong."""
    assert set(_table()) == set(ORDERS)


@pytest.mark.parametrize("name", ORDERS)
def test_a_refund_makes_the_calls_of_the_table(rig: Rig, name: str) -> None:
    """No call more, and in this order."""
    rig.next_step_is_here = True
    answer = "scheduled" if "not final" in name else "settled"
    rig.simulator.set_flags(refund_answer=answer)
    created, fields = ORDERS[name]
    order = rig.order(created, **fields)
    lines = [{"line_item_id": order.lines[0].id, "quantity": 1}]
    refund = rig.run(order, **({"lines": lines} if "lines" in name else {}))
    assert refund.state in {State.REFUNDED, State.CANCELLED}
    assert [call["endpoint"] for call in rig.simulator.calls] == _table()[name]
    assert refund.wix_calls == len(rig.simulator.calls)


@pytest.mark.parametrize("is_here", [True, False])
@pytest.mark.parametrize("name", [*ORDERS, "standard, lines of which one has an amount"])
def test_each_step_reserves_the_calls_that_it_makes(rig: Rig, name: str, is_here: bool) -> None:
    """Else many refunds of a store, each with a call too many, run into Wix's limit."""
    rig.next_step_is_here = is_here
    created, fields = ORDERS[name.removesuffix(" of which one has an amount")]
    order = rig.order(created, **fields)
    lines = [{"line_item_id": line.id, "quantity": 1} for line in order.lines]
    job: dict[str, Any] = {"lines": lines} if "lines" in name else {}
    if "amount" in name:
        lines[0] |= {"amount": "5.00"}
        job |= {"currency": "USD"}
    made: dict[str, int] = {}
    reserved: dict[str, int] = {}

    def step_ends() -> None:
        [key] = rig.redis.scan_iter(rig.key("refund", "*"), _type="hash")
        record = rig.redis.hgetall(key)
        made[record["state"]] = len(rig.simulator.calls) - sum(made.values())
        reserved[record["state"]] = int(record["reserved"])

    rig.at["after_call"] = step_ends
    rig.run(order, **job)
    assert sum(made.values()) == len(rig.simulator.calls)
    assert {state for state in made if made[state] > reserved[state]} == set()


def test_another_process_reads_again(rig: Rig) -> None:
    """It knows nothing of the step before."""
    rig.run(rig.order(BEFORE, **UNPAID))
    endpoints = [call["endpoint"] for call in rig.simulator.calls]
    assert endpoints == ["get_order", "get_order", "cancel_order"]


def test_an_old_answer_is_not_used(rig: Rig) -> None:
    """The merchant may have acted since."""
    rig.next_step_is_here = True
    now = [0.0]
    object.__setattr__(rig.steps, "recent", RecentReads(lambda: now[0]))
    refund_id = rig.request(rig.order(BEFORE, **UNPAID))
    rig.run_one_step()
    now[0] = MAX_AGE_S + 0.1
    rig.run_until_idle()
    assert rig.load(refund_id).state is State.CANCELLED
    assert [call["endpoint"] for call in rig.simulator.calls].count("get_order") == 2


def test_what_was_read_before_another_step_is_not_used(rig: Rig) -> None:
    """Another process may have changed the order in between."""
    rig.next_step_is_here = True
    refund_id = rig.request(rig.order(BEFORE, **UNPAID))
    rig.run_one_step()
    rig.redis.hincrby(rig.key("refund", refund_id), "version", 1)
    rig.run_until_idle()
    assert [call["endpoint"] for call in rig.simulator.calls].count("get_order") == 2


@pytest.mark.parametrize("steps", [1, 2])
def test_what_was_read_is_for_the_step_after_the_commit(rig: Rig, steps: int) -> None:
    """Which may have stood for two steps: then the version has grown by two."""
    refund_id = rig.request(rig.order(BEFORE, **UNPAID))
    rig.run_one_step()
    before, reads = rig.load(refund_id), Reads()
    for grown in range(3):
        rig.steps.recent.keep(before, reads, steps=steps)
        taken = rig.steps.recent.take(before._replace(version=before.version + grown))
        assert (taken is reads) == (grown == steps)


@pytest.mark.parametrize("endpoint", ["cancel_order", "delete_fulfillment", "submit_refund"])
def test_after_an_unclear_call_every_look_is_new(rig: Rig, endpoint: str) -> None:
    """What was read before the call cannot show its effect."""
    rig.next_step_is_here = True
    created, name = (
        (AFTER, "standard") if endpoint == "submit_refund" else (BEFORE, "two fulfillments")
    )
    order = rig.order(created, **ORDERS[name][1])
    rig.simulator.script(Fault("lost_reply", endpoint))
    rig.run(order)
    endpoints = [call["endpoint"] for call in rig.simulator.calls]
    after = endpoints[endpoints.index(endpoint) + 1 :]
    assert after[0] == ("list_transactions" if created == AFTER else "get_order")
    assert len(order.refunds) + order.cancellations == 1


def test_the_merchants_own_cancel_is_seen_when_the_read_is_old_or_the_cancel_is_refused(
    rig: Rig,
) -> None:
    """Within the five seconds Wix itself is the last to decide."""
    rig.next_step_is_here = True
    rig.simulator.set_flags(cancel_twice="428")
    order = rig.order(BEFORE, **UNPAID)
    refund_id = rig.request(order)
    rig.run_one_step()
    rig.simulator.merchant_cancels(order.id)
    rig.run_until_idle()
    refund = rig.load(refund_id)
    assert (refund.state, refund.facts.effect) == (State.CANCELLED, "already_cancelled")


@pytest.mark.parametrize("refuses", ["ok", "428"])
def test_an_order_that_still_shows_as_fulfilled_is_cancelled_in_the_end(
    rig: Rig, refuses: str
) -> None:
    """The last delete says that nothing is left, but Wix shows it only later (W41)."""
    rig.next_step_is_here = True
    rig.simulator.set_flags(unfulfill_lag_ms=100, cancel_fulfilled=refuses)
    refund = rig.run(rig.order(BEFORE, **TWO_PARCELS))
    assert refund.state is State.CANCELLED
