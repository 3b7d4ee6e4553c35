"""A step that fails is retried, ends with a reason, and never acts twice."""

from __future__ import annotations

from typing import Any

import pytest

from statemachine.flows import State, Transition
from tests.support.rig import AFTER, ANN, BEFORE, STORE_ID, Rig, settings_for
from worker.errors import LeaseLost
from worker.operations import dead_letters
from worker.simulator import Fault, Simulator
from worker.simulator.rules import table as rules


def test_a_failure_is_retried_until_the_attempts_are_used_up(rig: Rig) -> None:
    """The dead letter says why, and a replay continues where the refund stopped."""
    order = rig.order(AFTER)
    rig.simulator.script(Fault("status", "get_order_refundability", status=503, times=100))
    refund = rig.run(order)
    assert (refund.state, refund.reason["reason"]) == (State.DEAD, "attempts_used_up")
    assert (refund.attempt, refund.died_in) == (4, "refundable")
    rig.simulator.clear_faults()
    dead_letters.replay(rig.acts, refund.refund_id, operator=ANN)
    rig.run_until_idle()
    assert rig.load(refund.refund_id).state is State.REFUNDED
    assert len(order.refunds) == 1
    events = [line["event"] for line in rig.ledger.history(refund.refund_id)]
    assert "refund.replayed" in events


def test_using_up_the_attempts_after_an_unclear_call_is_outcome_unknown(rig: Rig) -> None:
    """A person must know that money may have moved."""
    rig.simulator.script(Fault("status", "submit_refund", status=503, times=100))
    refund = rig.run(rig.order(AFTER))
    assert (refund.state, refund.reason["reason"]) == (State.DEAD, "outcome_unknown")


def test_retry_after_is_obeyed(rig: Rig) -> None:
    """`Retry-After` counts when it is longer than our own wait."""
    rig.simulator.script(Fault("status", "get_order", status=429, retry_after_s=120))
    refund_id = rig.request(rig.order(AFTER))
    rig.run_queued()
    assert rig.ledger.history(refund_id)[-1]["in_ms"] == 120_000


def test_an_unknown_order_is_rejected(rig: Rig) -> None:
    """The reason carries Wix's code."""
    order = rig.order(AFTER)
    del rig.simulator.orders[order.id]
    refund = rig.run(order)
    assert (refund.state, refund.reason["reason"]) == (State.REJECTED, "order_not_found")
    assert refund.reason["wix_code"] == "ORDER_NOT_FOUND"


def test_a_currency_that_is_not_the_orders_is_rejected(rig: Rig) -> None:
    """The same amount in another currency is a different amount."""
    refund = rig.run(rig.order(AFTER), amount="1.00", currency="EUR")
    assert refund.reason["reason"] == "currency_mismatch"


@pytest.mark.parametrize("created", [BEFORE, AFTER])
def test_a_worker_whose_lease_was_taken_changes_nothing(rig: Rig, created: str) -> None:
    """It asks the server before each mutating call, however fresh its own heartbeat is."""
    order = rig.order(created)
    refund_id = rig.request(order)
    rig._one("refunds")
    rig.steps.run(Transition.ASSESS_ORDER, refund_id, rig.delivery())
    transition = Transition.CANCEL_ORDER if created == BEFORE else Transition.SUBMIT_REFUND
    version = rig.load(refund_id).version
    steal = rig.steps_with(_LosingLease(rig))  # type: ignore[arg-type]  # a ledger with one change
    with pytest.raises(LeaseLost):
        steal.run(transition, refund_id, rig.delivery(message_id="m2"))
    assert (order.cancellations, order.refunds) == (0, [])
    assert rig.load(refund_id).version == version


class _LosingLease:
    """A ledger in which another worker takes the lease right after the claim."""

    def __init__(self, rig: Rig) -> None:
        self._rig = rig

    def claim(self, *arguments: Any, **more: Any) -> object:
        """Claim, then lose the lease."""
        claim = self._rig.ledger.claim(*arguments, **more)
        assert claim.refund is not None
        lease = self._rig.key("lease", STORE_ID, claim.refund.request.order_id)
        self._rig.redis.set(lease, "other|m|e")
        return claim

    def __getattr__(self, name: str) -> object:
        return getattr(self._rig.ledger, name)


def test_a_bug_in_a_step_is_retried_and_ends_as_a_dead_letter(rig: Rig) -> None:
    """An unexpected error neither loses nor doubles a refund, and its text is not recorded."""
    rig.may_have_bugs = True
    order = rig.order(AFTER)
    order.payments[0].amount = "secret@example.com"  # type: ignore[assignment]  # breaks a rule
    refund_id = rig.request(order)
    with pytest.raises(TypeError):
        rig.simulator.answer("get_order", order.id, {}, "", consistent=True)
    rig.run_until_idle()
    refund = rig.load(refund_id)
    assert (refund.state, refund.reason["reason"]) == (State.DEAD, "worker_error")
    assert "secret" not in str(refund.public())


def test_a_message_that_fails_outside_of_a_step_goes_to_quarantine(rig: Rig) -> None:
    """A record that cannot be read must not be retried forever."""
    rig.may_have_bugs = True
    refund_id = rig.request(rig.order(AFTER))
    rig._one("refunds")
    rig.redis.hset(rig.key("refund", refund_id), "request", "broken")
    rig.run_queued()
    letters = rig.broker.quarantined()
    assert [letter["reason"] for letter in letters.values()] == ["worker_error"]


def test_a_cancel_whose_answer_shows_no_cancelled_order_is_unclear(rig: Rig) -> None:
    """A 200 is not enough: the order must be CANCELED."""
    order = rig.order(BEFORE)
    refund_id = rig.request(order)
    real = dict(rules.RULES)
    rules.RULES["cancel_order"] = real["get_order"]  # type: ignore[index]  # a table of the simulator
    try:
        rig.run_queued()
    finally:
        rules.RULES.update(real)  # type: ignore[attr-defined]  # a table of the simulator
    line = rig.ledger.history(refund_id)[-1]
    assert (line["event"], line.get("outcome_unknown")) == ("step.retry", True)
    rig.run_until_idle()
    assert order.cancellations == 1


@pytest.mark.parametrize("created", [BEFORE, AFTER])
@pytest.mark.parametrize("endpoint", ["get_order", "list_transactions", "list_fulfillments"])
def test_an_unknown_refusal_needs_a_person(rig: Rig, created: str, endpoint: str) -> None:
    """At any endpoint: no guess, and no crash."""
    order = rig.order(created, fulfillments=1 if created == BEFORE else 0)
    rig.simulator.script(Fault("status", endpoint, status=418, code="TEAPOT", times=99))
    refund = rig.run(order)
    # A cancellation only tells upstream what the transactions say; it goes on without them.
    is_optional = (created, endpoint) == (BEFORE, "list_transactions")
    used = rig.simulator.faults[0].times < 99 and not is_optional
    assert (refund.state is State.DEAD) == used
    if used:
        assert (refund.reason["reason"], refund.reason["wix_code"]) == ("refused_by_wix", "TEAPOT")


def test_a_delete_that_wix_refuses_needs_a_person(rig: Rig) -> None:
    """Only "not found" counts as deleted."""
    order = rig.order(BEFORE, fulfillments=1)
    rig.simulator.script(Fault("status", "delete_fulfillment", status=400, code="ODD"))
    refund = rig.run(order)
    assert (refund.state, refund.reason["reason"]) == (State.DEAD, "refused_by_wix")


def test_an_order_that_is_fulfilled_again_and_again_needs_a_person(rig: Rig) -> None:
    """It becomes a dead letter after the number of rounds in the settings."""
    order = rig.order(BEFORE)
    refund_id = rig.request(order)
    rig._one("refunds")
    turn = {
        State.ACCEPTED: Transition.ASSESS_ORDER,
        State.UNFULFILLED: Transition.CANCEL_ORDER,
        State.FULFILLED: Transition.UNFULFILL_ORDER,
    }
    for number in range(20):
        state = rig.load(refund_id).state
        if state is State.DEAD:
            break
        if state is State.UNFULFILLED:
            rig.simulator.merchant_fulfills(order.id)
        rig.steps.run(turn[state], refund_id, rig.delivery(message_id=f"m{number}"))
        rig.steps.recent.clear()
        rig.let_an_hour_pass()
    refund = rig.load(refund_id)
    assert (refund.state, refund.reason["reason"]) == (State.DEAD, "order_keeps_changing")
    assert order.cancellations == 0


@pytest.mark.parametrize(
    ("created", "fulfillments", "actions", "detail"),
    [
        (AFTER, 0, ["CANCEL", "FULFILL"], "REFUND is not allowed"),
        (AFTER, 0, ["REFUND"], ""),
        (BEFORE, 0, ["REFUND", "FULFILL"], "CANCEL is not allowed"),
        (BEFORE, 0, ["CANCEL"], ""),
        (BEFORE, 1, ["CANCEL"], "FULFILL is not allowed"),
        (BEFORE, 1, ["CANCEL", "FULFILL"], ""),
        (BEFORE, 1, [], "CANCEL is not allowed"),
    ],
)
def test_a_view_only_order_is_left_as_it_is(
    rig: Rig, created: str, fulfillments: int, actions: list[str], detail: str
) -> None:
    """A person is asked before anything is changed. W25."""
    settings = {"customActions": {"orderActions": actions}}
    order = rig.order(created, fulfillments=fulfillments, extra={"settings": settings})
    refund = rig.run(order)
    assert refund.reason.get("reason") == ("order_view_only" if detail else None)
    assert refund.reason.get("detail", "") == detail
    if detail:
        assert rig.simulator.books()["orders"][order.id]["mutating_calls"] == []


@pytest.mark.parametrize(
    "settings",
    [None, {}, [], {"limitedActions": False}, {"customActions": {}}, {"standardActions": True}],
)
def test_settings_that_do_not_forbid_anything_decide_nothing(rig: Rig, settings: object) -> None:
    """Neither do settings that are not as documented."""
    order = rig.order(AFTER, extra={"settings": settings})
    assert rig.run(order).state is State.REFUNDED


@pytest.mark.parametrize("endpoint", ["get_order", "list_transactions", "submit_refund"])
def test_a_site_without_wix_stores_is_reported_as_such(rig: Rig, endpoint: str) -> None:
    """Whichever call Wix refuses because of it. W11."""
    code = "REQUIRED_APP_NOT_INSTALLED"
    rig.simulator.script(Fault("status", endpoint, status=428, code=code, times=99))
    refund = rig.run(rig.order(AFTER))
    assert (refund.state, refund.reason["reason"]) == (State.DEAD, "wix_stores_missing")
    assert (refund.reason["wix_code"], refund.reason["http_status"]) == (code, 428)


def test_a_refundable_payment_of_nothing_is_reported_as_such(rig: Rig) -> None:
    """The order does have a payment."""
    refund = rig.run(rig.order(AFTER, payments=[{"amount": "0.004", "offline": True}]))
    assert (refund.state, refund.reason["reason"]) == (State.REJECTED, "zero_price")
    assert "nothing is left" in refund.reason["detail"]


def test_an_offline_payment_that_only_the_call_reveals_is_escalated(rig: Rig) -> None:
    """EXTERNAL_REFUND_EXPECTED needs a person, although Wix called the payment refundable."""
    rig.simulator.set_flags(offline_shows_refundable=True)
    order = rig.order(AFTER)
    order.payments[0].offline = True
    refund = rig.run(order)
    assert (refund.state, refund.reason["reason"]) == (State.DEAD, "manual_payment")
    assert order.refunds == []


def test_a_pending_refund_that_the_call_reveals_is_waited_for(rig: Rig) -> None:
    """Someone else's refund is pending: look again, without using up an attempt."""
    order = rig.order(AFTER)
    rig.simulator.set_flags(provider_ms=10**9)
    rig.simulator.merchant_refunds(order.id, reason="dashboard")
    refund_id = rig.request(order)
    rig.run_queued()
    line = rig.ledger.history(refund_id)[-1]
    assert line["event"] == "step.waiting"
    assert "PENDING_REFUND" in line["why"]
    assert rig.load(refund_id).attempt == 0
    assert len(order.refunds) == 1


@pytest.mark.parametrize("endpoint", ["get_order", "get_order_refundability"])
def test_a_404_that_wix_did_not_send_rejects_nothing(rig: Rig, endpoint: str) -> None:
    """A gateway's error page says nothing about this order."""
    rig.simulator.script(Fault("not_wix", endpoint, status=404))
    assert rig.run(rig.order(AFTER)).state is State.REFUNDED


def test_a_404_without_a_code_needs_a_person(rig: Rig) -> None:
    """Only ORDER_NOT_FOUND says that the order does not exist."""
    rig.simulator.script(Fault("status", "get_order", status=404, times=1_000))
    refund = rig.run(rig.order(AFTER))
    assert (refund.state, refund.reason["reason"]) == (State.DEAD, "refused_by_wix")


def test_waiting_after_an_unclear_call_counts_as_failing(redis_url: str) -> None:
    """Otherwise a refund could fail for weeks before a person hears of it."""
    rig = Rig(settings_for(redis_url, retry_for_s="3600"), Simulator())
    rig.simulator.script(Fault("status", "submit_refund", status=503, times=10_000))
    refund_id = rig.request(rig.order(AFTER))
    rig.run_queued()
    since_ms = rig.load(refund_id).failing_since_ms
    rig.redis.zadd(rig.key("due"), {refund_id: 1})
    rig.ledger.wake_due("rig", lead_ms=1)
    rig.run_queued()
    assert rig.ledger.history(refund_id)[-1]["event"] == "step.waiting"
    assert rig.load(refund_id).failing_since_ms == since_ms > 0
