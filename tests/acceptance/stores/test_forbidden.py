"""A 403 may mean throttling, a gateway, or one order: only a dead key suspends a store."""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import Any

import pytest

from statemachine.flows import State
from tests.support.rig import AFTER, BEFORE, KEY, STORE_ID
from tests.support.stores_rig import OTHER, StoresRig, lines
from worker.simulator import Fault
from worker.simulator.world.orders import Order

#: All calls of both flows that may be refused.
ENDPOINTS = (
    "get_order", "list_transactions", "get_order_refundability", "calculate_refund",
    "submit_refund", "list_fulfillments", "delete_fulfillment", "cancel_order",
)  # fmt: skip


@pytest.fixture
def rig(redis_url: str) -> Iterator[StoresRig]:
    """A worker with two stores that have different keys."""
    rig = StoresRig.with_two_stores(redis_url)
    yield rig
    rig.close()


def _pause_ms(rig: StoresRig) -> int:
    """How long the store's lane still waits, by the server's clock."""
    seconds, micros = rig.redis.time()
    due_ms = int(float(rig.redis.zscore(rig.key("paced"), STORE_ID)))
    return due_ms - int(seconds) * 1000 - int(micros) // 1000


@pytest.mark.parametrize("html", [False, True], ids=["json", "html"])
def test_a_throttled_store_pauses_for_minutes(rig: StoresRig, log: io.StringIO, html: bool) -> None:
    """Meanwhile no call is made, no attempt is used up, and other stores continue."""
    ids = [rig.request(rig.order(AFTER if n % 2 else BEFORE)) for n in range(5)]
    rig.simulator.script(Fault("throttled_403", times=1, html=html))
    rig.run_one_step()
    assert 115_000 < _pause_ms(rig) <= 120_000
    theirs = rig.request(rig.simulator.add_order(OTHER, created_date=AFTER), store_id=OTHER)
    calls = len([c for c in rig.simulator.calls if c["site_id"] == STORE_ID])
    rig.run_queued()
    assert len([c for c in rig.simulator.calls if c["site_id"] == STORE_ID]) == calls == 1
    assert rig.load(theirs).state is State.REFUNDED
    assert not rig.problems()
    rig.run_until_idle()
    assert {rig.load(refund_id).state for refund_id in ids} == {State.REFUNDED, State.CANCELLED}
    [event] = [line for line in lines(log) if line["event"] == "step.forbidden"]
    assert (event["http_status"], event["in_ms"]) == (403, 120_000)
    assert rig.outcomes("store.suspended") == []
    assert not rig.problems()


@pytest.mark.parametrize("html", [False, True], ids=["json", "html"])
def test_throttling_that_goes_on_suspends_nothing_for_some_pauses(
    rig: StoresRig, html: bool
) -> None:
    """Every call is refused, including those that check the key."""
    refund_id = rig.request(rig.order(AFTER))
    for minutes in (2, 4, 8):
        rig.simulator.clear_faults()
        rig.simulator.script(Fault("throttled_403", times=10**6, html=html))
        rig.run_queued()
        assert minutes * 60_000 - 5_000 < _pause_ms(rig) <= minutes * 60_000
        assert rig.load(refund_id).attempt == 0
        rig.let_an_hour_pass()
    rig.simulator.clear_faults()
    rig.run_until_idle()
    assert rig.load(refund_id).state is State.REFUNDED
    assert rig.outcomes("store.suspended") == []


@pytest.mark.parametrize("html", [False, True], ids=["json", "html"])
@pytest.mark.parametrize("endpoint", ENDPOINTS)
@pytest.mark.parametrize("first", [True, False], ids=["nothing worked yet", "it worked before"])
def test_a_403_bound_to_one_order_never_suspends_the_store(
    rig: StoresRig, endpoint: str, first: bool, html: bool
) -> None:
    """Its refund needs a person; all others are made."""
    order, *others = [_order(rig, endpoint) for _ in range(4)]
    if not first:
        more = _order(rig, endpoint)
        rig.run(more, **_lines(more, endpoint))
    rig.simulator.script(
        Fault("throttled_403", endpoint, order_id=order.id, times=10**6, html=html)
    )
    refund_id = rig.request(order, **_lines(order, endpoint))
    ids = [rig.request(other, **_lines(other, endpoint)) for other in others]
    rig.run_until_idle()
    assert {rig.load(one).state for one in ids} <= {State.REFUNDED, State.CANCELLED}
    refund = rig.load(refund_id)
    assert refund.state is State.DEAD
    unclear = (
        {"outcome_unknown"} if html and endpoint in {*ENDPOINTS[4:5], *ENDPOINTS[6:]} else set()
    )
    assert refund.reason["reason"] in {"order_forbidden", "scope_missing"} | unclear
    assert refund.reason["http_status"] == 403
    assert rig.outcomes("store.suspended") == []
    assert (order.refunds, order.cancellations) == ([], 0)
    if endpoint in ENDPOINTS[:4]:
        assert refund.reason["reason"] == "order_forbidden"


def _order(rig: StoresRig, endpoint: str) -> Order:
    """Place an order whose refund makes this call."""
    is_standard = endpoint in ENDPOINTS[:5]
    return rig.order(AFTER) if is_standard else rig.order(BEFORE, fulfillments=1)


def _lines(order: Order, endpoint: str) -> dict[str, Any]:
    """Return lines for the job, if the call is only made for a refund of lines."""
    line = {"line_item_id": order.lines[0].id, "quantity": 1}
    return {"lines": [line]} if endpoint == "calculate_refund" else {}


@pytest.mark.parametrize("endpoint", ENDPOINTS)
def test_a_401_on_one_endpoint_only_ends_in_a_dead_letter(rig: StoresRig, endpoint: str) -> None:
    """After a limited number of suspensions; it names the call and the box."""
    rig.simulator.script(Fault("status", endpoint, status=401, times=10**6))
    orders = [_order(rig, endpoint) for _ in range(3)]
    ids = [rig.request(order, **_lines(order, endpoint)) for order in orders]
    rig.run_until_idle()
    while rig.stores.find(STORE_ID).state == "suspended":
        rig.probe()
        rig.run_until_idle()
    assert rig.stores.find(STORE_ID).state == "given"
    for refund_id in ids:
        refund = rig.load(refund_id)
        assert (refund.state, refund.reason["reason"]) == (State.DEAD, "scope_missing")
        assert (refund.reason["http_status"], refund.attempt) == (401, 1)
        assert endpoint in refund.reason["detail"]
        assert "“Wix Stores”" in refund.reason["remedy"]
    assert len(rig.outcomes("store.suspended")) == 2
    rig.simulator.clear_faults()
    assert rig.replay(ids[0], operator="ann")
    rig.run_until_idle()
    assert rig.load(ids[0]).state in {State.REFUNDED, State.CANCELLED}


def test_a_dead_key_that_is_answered_with_403_suspends_the_store_after_the_pauses(
    rig: StoresRig,
) -> None:
    """Throttling would have ended by then, and the site cannot be read either."""
    rig.run(rig.order(AFTER))
    rig.simulator.set_flags(revoked_key="403")
    rig.simulator.revoke_key(KEY)
    ids = [rig.request(rig.order(AFTER)) for _ in range(20)]
    rig.run_until_idle()
    assert rig.stores.find(STORE_ID).state == "suspended"
    assert {rig.load(refund_id).attempts for refund_id in ids} == {0}
    rig.simulator.keys[KEY].revoked = False
    rig.probe()
    rig.run_until_idle()
    assert {rig.load(refund_id).state for refund_id in ids} == {State.REFUNDED}


@pytest.mark.parametrize("created", [BEFORE, AFTER])
def test_a_gateways_403_to_a_change_is_looked_at_first(rig: StoresRig, created: str) -> None:
    """The gateway may have forwarded the call; the store pauses all the same."""
    order = rig.order(created)
    endpoint = "cancel_order" if created == BEFORE else "submit_refund"
    rig.simulator.script(Fault("throttled_403", endpoint, html=True))
    refund_id = rig.request(order)
    rig.run_queued()
    assert rig.ledger.history(refund_id)[-1]["outcome_unknown"]
    assert rig.redis.exists(rig.key("rate", STORE_ID))
    rig.run_until_idle()
    assert rig.load(refund_id).state in {State.REFUNDED, State.CANCELLED}
    assert len(order.refunds) + order.cancellations == 1
