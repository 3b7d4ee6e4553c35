"""Our own refund is recognised even if Wix changes its fingerprint, and never made twice."""

from __future__ import annotations

import copy
import uuid
from typing import Any

import pytest

from statemachine.flows import State
from tests.support.looks import look_again
from tests.support.rig import AFTER, ANN, Rig
from worker.operations import dead_letters
from worker.refund.money import money
from worker.refund.outcomes import read
from worker.simulator import Fault
from worker.simulator.world.orders import Order


def _moved(order: Order) -> list[str]:
    parts = [part for refund in order.refunds for part in refund["transactions"]]
    return [part["amount"]["amount"] for part in parts]


def _types(rig: Rig) -> list[str]:
    return [event["type"] for _, event in read(rig.broker.client, rig.settings.namespace)]


@pytest.mark.parametrize(
    "flags",
    [
        {"reason_text": "upper"},
        {"reason_text": "spaced"},
        {"reason_chars": 24},
        {"reason_chars": 18},
        {"reason_text": "upper", "reason_chars": 24},
    ],
)
def test_a_fingerprint_that_wix_changed_is_still_ours(rig: Rig, flags: dict[str, Any]) -> None:
    """In another case, with a blank inside, or truncated: found, not repeated."""
    rig.simulator.set_flags(**flags)
    order = rig.order(AFTER, payments=[{"amount": "100.00"}])
    rig.simulator.script(Fault("drop_after", "submit_refund"))
    refund = rig.run(order, amount="10.00", currency="USD", reason="damaged")
    assert refund.state is State.REFUNDED
    assert _moved(order) == ["10.00"]


@pytest.mark.parametrize("flags", [{"reason_text": "masked"}, {"reason_chars": 10}])
@pytest.mark.parametrize("job", [{}, {"amount": "10.00", "currency": "USD"}])
def test_a_new_refund_that_may_be_ours_needs_a_person(
    rig: Rig, flags: dict[str, Any], job: dict[str, Any]
) -> None:
    """It has no fingerprint but the right amount: it is never taken as someone else's."""
    rig.simulator.set_flags(**flags)
    order = rig.order(AFTER, payments=[{"amount": "100.00"}])
    rig.simulator.script(Fault("drop_after", "submit_refund"))
    refund = rig.run(order, **job)
    assert refund.reason["reason"] == "outcome_unknown"
    assert len(order.refunds) == 1


def test_a_refund_of_another_amount_is_not_ours(rig: Rig) -> None:
    """The merchant refunded 30.00 while the reply to our 10.00 was lost."""
    order = rig.order(AFTER, payments=[{"amount": "100.00"}])
    rig.simulator.script(Fault("drop", "submit_refund"))
    refund_id = rig.request(order, amount="10.00", currency="USD")
    rig.run_queued()
    rig.simulator.merchant_refunds(order.id, "in the shop", "30.00")
    rig.run_until_idle()
    assert rig.load(refund_id).state is State.REFUNDED
    assert _moved(order) == ["30.00", "10.00"]


def test_another_refunds_fingerprint_is_not_ours(rig: Rig) -> None:
    """Two jobs of 10.00 for one order: the refund of the first is not that of the second."""
    order = rig.order(AFTER, payments=[{"amount": "100.00"}])
    job = {"amount": "10.00", "currency": "USD"}
    first = rig.request(order, **job)
    second = rig.request(order, **job)
    rig.simulator.script(Fault("drop", "submit_refund"))
    rig.run_until_idle()
    assert {rig.load(first).state, rig.load(second).state} == {State.REFUNDED}
    assert _moved(order) == ["10.00", "10.00"]


def test_a_call_is_repeated_only_after_two_looks_some_time_apart(rig: Rig) -> None:
    """Wix carries out the first call between the two looks: it is found, not repeated."""
    order = rig.order(AFTER, payments=[{"amount": "100.00"}])
    rig.simulator.script(Fault("drop", "submit_refund"))
    refund_id = rig.request(order, amount="10.00", currency="USD")
    rig.run_queued()
    rig.let_an_hour_pass()
    rig.run_queued()
    waiting = rig.ledger.history(refund_id)[-1]
    assert waiting["event"] == "step.waiting"
    assert waiting["in_ms"] == rig.settings.settle_delay_ms // 2
    mark = f"(ref {rig.load(refund_id).fingerprint})"
    rig.simulator.merchant_refunds(order.id, mark, "10.00")
    rig.run_until_idle()
    assert rig.load(refund_id).state is State.REFUNDED
    assert _moved(order) == ["10.00"]


def _unclear(rig: Rig, order: Order) -> str:
    rig.simulator.script(Fault("drop", "submit_refund", times=4))
    refund_id = rig.request(order, amount="10.00", currency="USD")
    rig.run_until_idle()
    assert rig.load(refund_id).reason["reason"] == "outcome_unknown"
    return refund_id


def test_a_plain_replay_of_an_unclear_call_only_looks(rig: Rig) -> None:
    """A replay of many dead letters does not claim that none of their calls was carried out."""
    order = rig.order(AFTER, payments=[{"amount": "100.00"}])
    refund_id = _unclear(rig, order)
    for _ in range(2):
        dead_letters.replay(rig.acts, refund_id, operator=ANN)
        rig.run_until_idle()
        reason = rig.load(refund_id).reason
        assert (reason["reason"], reason["detail"]) == (
            "outcome_unknown",
            "Wix still does not show it",
        )
        assert order.refunds == []


def test_a_plain_replay_finds_what_has_appeared(rig: Rig) -> None:
    """Then the refund finishes without a second call."""
    order = rig.order(AFTER, payments=[{"amount": "100.00"}])
    refund_id = _unclear(rig, order)
    mark = f"(ref {rig.load(refund_id).fingerprint})"
    rig.simulator.merchant_refunds(order.id, mark, "10.00")
    dead_letters.replay(rig.acts, refund_id, operator=ANN)
    rig.run_until_idle()
    assert rig.load(refund_id).state is State.REFUNDED
    assert _moved(order) == ["10.00"]


def test_only_the_option_not_done_sends_it_again(rig: Rig) -> None:
    """Also after a replay that only looked."""
    order = rig.order(AFTER, payments=[{"amount": "100.00"}])
    refund_id = _unclear(rig, order)
    dead_letters.replay(rig.acts, refund_id, operator=ANN)
    rig.run_until_idle()
    dead_letters.replay(rig.acts, refund_id, operator=ANN, not_done=True)
    rig.run_until_idle()
    assert rig.load(refund_id).state is State.REFUNDED
    assert _moved(order) == ["10.00"]


def test_the_option_not_done_is_only_for_an_unclear_call(rig: Rig) -> None:
    """For other reasons there is no call about which it could be said."""
    rig.simulator.script(Fault("status", "submit_refund", status=400, code="X"))
    refund = rig.run(rig.order(AFTER))
    with pytest.raises(dead_letters.CannotReplay, match="only applies to `outcome_unknown`"):
        dead_letters.replay(rig.acts, refund.refund_id, operator=ANN, not_done=True)


def _twice(order: Order) -> None:
    """Let Wix carry out our call a second time."""
    order.refunds.append(copy.deepcopy(order.refunds[0]) | {"id": str(uuid.uuid4())})


def test_a_refund_that_wix_shows_twice_is_reported_with_what_to_recover(rig: Rig) -> None:
    """A dead letter with both of Wix's ids, and an event for upstream."""
    rig.simulator.set_flags(provider_ms=10**12)
    order = rig.order(AFTER, payments=[{"amount": "100.00"}])
    refund_id = rig.request(order, amount="10.00", currency="USD")
    rig.run_queued()
    _twice(order)
    rig.run_until_idle()
    refund = rig.load(refund_id)
    assert (refund.state, refund.reason["reason"]) == (State.DEAD, "paid_twice")
    ids = [one["id"] for one in order.refunds]
    assert refund.reason["detail"] == (
        f"Wix shows the refunds {ids[0]}, {ids[1]}; 10.00 USD is to be recovered"
    )
    assert _types(rig)[-2:] == ["refund.dead_lettered", "refund.overpaid"]
    data = [event for _, event in read(rig.broker.client, rig.settings.namespace)][-1]["data"]
    assert data["to_recover"] == money("10.00", "USD")
    assert data["wix_refund_ids"] == ids


def test_a_second_refund_that_appears_after_the_end_is_reported_once(rig: Rig) -> None:
    """The watch finds it; the finished refund becomes a dead letter."""
    order = rig.order(AFTER, payments=[{"amount": "100.00"}])
    refund = rig.run(order, amount="10.00", currency="USD")
    assert refund.state is State.REFUNDED
    _twice(order)
    rig.redis.hincrby(rig.key("refund", refund.refund_id), "updated_at_ms", -3_600_000)
    for _ in range(3):
        look_again(rig)
    again = rig.load(refund.refund_id)
    assert (again.state, again.reason["reason"]) == (State.DEAD, "paid_twice")
    assert _types(rig).count("refund.overpaid") == 1
    assert rig.redis.zscore(rig.key("dead"), refund.refund_id) == again.updated_at_ms
    with pytest.raises(dead_letters.CannotReplay, match="Recover the amount"):
        dead_letters.replay(rig.acts, refund.refund_id, operator=ANN)


def test_a_second_refund_that_failed_took_no_money(rig: Rig) -> None:
    """Only money that moved has to be recovered."""
    order = rig.order(AFTER, payments=[{"amount": "100.00"}])
    refund = rig.run(order, amount="10.00", currency="USD")
    _twice(order)
    for part in order.refunds[1]["transactions"]:
        part["refundStatus"] = "FAILED"
    look_again(rig)
    assert rig.load(refund.refund_id).state is State.REFUNDED
