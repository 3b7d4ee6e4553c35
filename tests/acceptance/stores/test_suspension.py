"""A key that stops working suspends its store: no refund is lost, no other store affected."""

from __future__ import annotations

import io
from collections.abc import Iterator

import pytest

from statemachine.flows import State, Transition
from tests.support.rig import AFTER, BEFORE, KEY, STORE_ID
from tests.support.stores_rig import OTHER, StoresRig, lines
from worker.simulator import Fault
from worker.simulator.contract.routes import ALL_SCOPES, BILLING, BUSINESS_INFO, STORES


@pytest.fixture
def rig(redis_url: str) -> Iterator[StoresRig]:
    """A worker with two stores that have different keys."""
    rig = StoresRig.with_two_stores(redis_url)
    yield rig
    rig.redis.close()
    rig.broker.client.close()


def _others_order(rig: StoresRig) -> str:
    order = rig.simulator.add_order(OTHER, created_date=AFTER)
    return rig.request(order, store_id=OTHER)


def _states(rig: StoresRig, ids: list[str]) -> set[State]:
    return {rig.load(refund_id).state for refund_id in ids}


def _refuse_all(rig: StoresRig, status: int, code: str = "") -> None:
    """Let Wix refuse every call with this key in this way, but not those of the other store."""
    if status == 401:
        rig.simulator.revoke_key(KEY)
    elif status == 403:
        rig.simulator.set_flags(revoked_key="403")
        rig.simulator.revoke_key(KEY)
    else:
        rig.simulator.script(Fault("status", "*", status=status, code=code, times=10**6))


def test_200_refunds_wait_for_a_revoked_key_while_the_other_store_continues(
    rig: StoresRig, log: io.StringIO
) -> None:
    """One log line, one outcome, no attempt used up, no dead letter, nothing refunded twice."""
    orders = [rig.order(AFTER if n % 2 else BEFORE) for n in range(200)]
    mine = [rig.request(order, f"rf-{n:03}") for n, order in enumerate(orders)]
    for _ in range(60):
        rig.run_one_step()
    rig.simulator.revoke_key(KEY)
    theirs = [_others_order(rig) for _ in range(20)]
    rig.run_until_idle()
    assert _states(rig, theirs) == {State.REFUNDED}
    store = rig.stores.find(STORE_ID).public()
    assert (store["state"], store["in_flight"]) == ("suspended", 0)
    assert 0 < store["waiting"] < 200
    assert store["suspended_because"]["http_status"] == 401
    assert not list(rig.ledger.newest(state=State.DEAD, limit=10))
    assert not rig.problems()
    [event] = rig.outcomes("store.suspended")
    assert (event["subject"], event["data"]["reason"]["reason"]) == (STORE_ID, "key_refused")
    assert [e["event"] for e in lines(log)].count("store.suspended") == 1
    assert all(rig.load(refund_id).attempt == 0 for refund_id in mine)
    rig.simulator.replace_key(KEY, "IST.newer")
    rig.give(STORE_ID, "IST.newer")
    assert rig.stores.resume(STORE_ID, by="ann")
    rig.run_until_idle()
    assert _states(rig, mine) == {State.REFUNDED, State.CANCELLED}
    assert [len(o.refunds) + o.cancellations for o in orders] == [1] * 200
    assert len(rig.outcomes("store.suspended", "store.resumed")) == 2
    assert not rig.problems()


@pytest.mark.parametrize(
    ("status", "code"), [(401, ""), (403, ""), (428, "MISSING_METASITE_ID")], ids=str
)
@pytest.mark.parametrize("first", [True, False], ids=["nothing worked yet", "it worked before"])
def test_a_key_that_is_refused_everywhere_suspends_the_store(
    rig: StoresRig, status: int, code: str, first: bool
) -> None:
    """In every way in which Wix may refuse it."""
    if not first:
        rig.run(rig.order(AFTER))
    _refuse_all(rig, status, code)
    refund_id = rig.request(rig.order(AFTER))
    rig.run_until_idle()
    assert rig.stores.find(STORE_ID).state == "suspended"
    assert rig.load(refund_id).state is State.ACCEPTED


def test_a_key_revoked_between_two_calls_of_one_step_suspends(rig: StoresRig) -> None:
    """The refused call never worked, but a call that worked a moment ago is refused now, too."""
    rig.simulator.set_flags(revoked_key="403")
    order = rig.order(AFTER)
    refund_id = rig.request(order)
    rig.at = {"before_call": lambda: rig.simulator.revoke_key(KEY)}
    rig.run_until_idle()
    assert rig.stores.find(STORE_ID).state == "suspended"
    refund = rig.load(refund_id)
    assert (refund.state, order.refunds) == (State.REFUNDABLE, [])


def test_a_box_that_was_never_ticked_is_named_by_a_dead_letter(rig: StoresRig) -> None:
    """One call is refused while another works: the store continues, the refund needs a person."""
    rig.simulator.change_key(KEY, scopes=ALL_SCOPES - {BILLING})
    cancelled, standard = rig.run(rig.order(BEFORE)), rig.run(rig.order(AFTER))
    assert cancelled.state is State.CANCELLED
    assert (standard.state, standard.reason["reason"]) == (State.DEAD, "scope_missing")
    assert "tick “Wix Stores”" in standard.reason["remedy"]
    assert standard.reason["http_status"] == 403
    assert rig.stores.find(STORE_ID).state == "given"


def test_a_key_that_cannot_read_orders_is_not_dead(rig: StoresRig) -> None:
    """If no call has worked yet, Business Info is asked: it answers, so a box is missing."""
    rig.simulator.change_key(KEY, scopes=ALL_SCOPES - {STORES})
    refund = rig.run(rig.order(AFTER))
    assert (refund.state, refund.reason["reason"]) == (State.DEAD, "scope_missing")


def test_a_key_that_can_read_neither_orders_nor_business_info_is_dead(rig: StoresRig) -> None:
    """No known call works, so the store is suspended."""
    rig.simulator.change_key(KEY, scopes=ALL_SCOPES - {STORES, BUSINESS_INFO})
    rig.request(rig.order(AFTER))
    rig.run_until_idle()
    assert rig.stores.find(STORE_ID).state == "suspended"


def test_a_refusal_that_cannot_be_explained_is_retried(rig: StoresRig) -> None:
    """Wix fails when it is asked whether another call works, which says nothing about the key."""
    rig.simulator.set_flags(refusal_code="permission_denied")
    rig.simulator.change_key(KEY, scopes=ALL_SCOPES - {BILLING})
    refund_id = rig.request(rig.order(AFTER))
    rig.run_one_step()
    rig.simulator.script(Fault("status", "search_orders", status=503))
    rig.run_one_step()
    assert rig.ledger.history(refund_id)[-1]["event"] == "step.retry"
    assert rig.stores.find(STORE_ID).state == "given"


def test_losing_the_right_to_read_orders_suspends_the_store(rig: StoresRig) -> None:
    """The merchant removed a box that every refund needs, so they wait."""
    rig.run(rig.order(AFTER))
    rig.simulator.change_key(KEY, scopes=ALL_SCOPES - {STORES, BILLING})
    refund_id = rig.request(rig.order(AFTER))
    rig.run_until_idle()
    assert rig.stores.find(STORE_ID).state == "suspended"
    rig.probe()
    assert rig.stores.find(STORE_ID).state == "suspended"
    rig.simulator.change_key(KEY, scopes=ALL_SCOPES)
    rig.probe()
    rig.run_until_idle()
    assert rig.load(refund_id).state is State.REFUNDED


@pytest.mark.parametrize("code", ["none", "permission_denied"])
@pytest.mark.parametrize("worked", [True, False])
def test_losing_the_billing_right_alone_suspends_nothing(
    rig: StoresRig, code: str, worked: bool
) -> None:
    """Refunds that need it need a person; cancellations continue. Ticked again, all is well."""
    rig.simulator.set_flags(refusal_code=code)
    if worked:
        rig.run(rig.order(AFTER))
    rig.simulator.change_key(KEY, scopes=ALL_SCOPES - {BILLING})
    standard = [rig.request(rig.order(AFTER)) for _ in range(3)]
    cancelled = rig.run(rig.order(BEFORE))
    assert cancelled.state is State.CANCELLED
    for refund_id in standard:
        reason = rig.load(refund_id).reason
        assert reason["reason"] == "scope_missing"
        assert "get_order_refundability" in reason["detail"]
        assert "tick “Wix Stores”" in reason["remedy"]
    assert rig.outcomes("store.suspended") == []
    rig.simulator.change_key(KEY, scopes=ALL_SCOPES)
    assert rig.run(rig.order(AFTER)).state is State.REFUNDED
    assert rig.stores.rights(STORE_ID).lacking == frozenset()


def test_a_late_refusal_of_the_old_key_does_not_suspend_the_store_again(rig: StoresRig) -> None:
    """The step began before the store was resumed, so it simply runs again."""
    rig.simulator.revoke_key(KEY)
    rig.request(rig.order(AFTER), "rf-1")
    rig.request(rig.order(AFTER), "rf-2")

    def meanwhile() -> None:
        """Suspend the store and resume it, while this step runs."""
        rig.at = {}
        rig.steps.run(Transition.ASSESS_ORDER, "rf-2", rig.delivery(message_id="rf-2~1"))
        assert rig.stores.find(STORE_ID).state == "suspended"
        rig.simulator.replace_key(KEY, "IST.newer")
        rig.give(STORE_ID, "IST.newer")
        assert rig.stores.resume(STORE_ID, by="ann")

    rig.at = {"before_commit": meanwhile}
    rig.run_until_idle()
    assert rig.stores.find(STORE_ID).state == "given"
    assert len(rig.outcomes("store.suspended")) == 1
    assert _states(rig, ["rf-1", "rf-2"]) == {State.REFUNDED}


def test_the_lane_continues_in_order_of_arrival(rig: StoresRig) -> None:
    """Refunds that were in flight, that waited, and that arrived during the suspension."""
    rig.simulator.revoke_key(KEY)
    ids = [rig.request(rig.order(AFTER), f"rf-{n:02}") for n in range(8)]
    rig.run_until_idle()
    ids += [rig.request(rig.order(AFTER), f"rf-{n:02}") for n in range(8, 12)]
    rig.run_until_idle()
    assert rig.redis.zrange(rig.key("lane", STORE_ID), 0, -1) == ids
    rig.stores.resume(STORE_ID, by="ann")
    busy = rig.redis.zrange(rig.key("busy", STORE_ID), 0, -1)
    assert sorted(busy) == ids[: rig.settings.lane_width]


def test_refunds_that_become_due_during_a_suspension_wait_in_the_lane(rig: StoresRig) -> None:
    """A retry or a check with the provider returns to the lane and uses up no attempt."""
    rig.simulator.script(Fault("status", "get_order", status=503))
    waiting = rig.request(rig.order(AFTER))
    rig.run_queued()
    rig.simulator.revoke_key(KEY)
    rig.request(rig.order(AFTER))
    rig.run_queued()
    assert rig.let_an_hour_pass() == 1
    rig.run_queued()
    refund = rig.load(waiting)
    assert (refund.state, refund.attempts) == (State.ACCEPTED, 1)
    assert rig.stores.find(STORE_ID).waiting == 2


def test_an_open_intent_stays_open_through_a_suspension(rig: StoresRig) -> None:
    """The reply to a refund was lost, then the key revoked: the next step checks Wix first."""
    order = rig.order(AFTER)
    rig.simulator.script(Fault("lost_reply", "submit_refund"))
    refund_id = rig.request(order)
    rig.run_queued()
    assert len(order.refunds) == 1
    rig.simulator.revoke_key(KEY)
    rig.run_until_idle()
    assert rig.load(refund_id).intent_at_ms > 0
    rig.simulator.keys[KEY].revoked = False
    rig.stores.resume(STORE_ID, by="ann")
    rig.run_until_idle()
    assert rig.load(refund_id).state is State.REFUNDED
    assert len(order.refunds) == 1


def test_a_message_of_a_suspended_store_goes_back_without_an_attempt(rig: StoresRig) -> None:
    """It makes no call to Wix."""
    refund_id = rig.request(rig.order(AFTER))
    rig.run_intake()
    _suspend(rig)
    calls = len(rig.simulator.calls)
    rig.run_queued()
    assert len(rig.simulator.calls) == calls
    refund = rig.load(refund_id)
    assert (refund.attempts, refund.state) == (0, State.ACCEPTED)
    assert not rig.problems()


def _suspend(rig: StoresRig) -> None:
    """Suspend the store, as a refused step of another refund does."""
    order = rig.order(AFTER)
    rig.simulator.script(Fault("status", "get_order", status=401, order_id=order.id))
    refund_id = rig.request(order)
    rig.run_intake()
    rig.steps.run(Transition.ASSESS_ORDER, refund_id, rig.delivery(message_id="x"))
    assert rig.stores.find(STORE_ID).state == "suspended"
