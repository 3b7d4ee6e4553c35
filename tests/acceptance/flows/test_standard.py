"""Orders placed on or after the cutoff, from the job to the records of the simulated Wix."""

from __future__ import annotations

from decimal import Decimal

import pytest

from statemachine.flows import State
from tests.support.rig import AFTER, Rig
from worker.flows.payments import BLOCKED
from worker.refund.reasons import REASONS
from worker.simulator import Fault
from worker.simulator.script.faults import Kind


def test_a_full_refund_is_submitted_once_and_confirmed(rig: Rig) -> None:
    """One call moves the money; the refund finishes only when the provider has paid."""
    order = rig.order(AFTER)
    refund = rig.run(order, reason="damaged")
    assert refund.state is State.REFUNDED
    assert [r["details"]["reason"] for r in order.refunds] == [
        f"(ref {refund.fingerprint}) damaged"
    ]
    assert rig.simulator.books()["orders"][order.id]["refunded"] == "101.40"
    assert refund.facts.refund_amount == "101.40"


def test_several_payments_are_refunded_in_one_call(rig: Rig) -> None:
    """Each by what is left of it."""
    order = rig.order(AFTER, amounts=("20.00", "5.50"))
    refund = rig.run(order)
    assert refund.state is State.REFUNDED
    amounts = [t["amount"]["amount"] for t in order.refunds[0]["transactions"]]
    assert amounts == ["20.00", "5.50"]
    assert len(order.refunds) == 1


@pytest.mark.parametrize("kind", ["lost_reply", "drop_after", "garbage", "empty"])
def test_a_refund_whose_reply_is_lost_is_found_by_its_fingerprint(rig: Rig, kind: Kind) -> None:
    """Wix has no idempotency key; the fingerprint takes its place."""
    order = rig.order(AFTER)
    rig.simulator.script(Fault(kind, "submit_refund"))
    refund = rig.run(order)
    assert refund.state is State.REFUNDED
    assert len(order.refunds) == 1
    assert any(line.get("found") for line in rig.ledger.history(refund.refund_id))


def test_a_refund_that_really_failed_is_sent_again_after_the_settle_delay(rig: Rig) -> None:
    """What Wix does not list counts as not done only after the settle delay."""
    order = rig.order(AFTER)
    rig.simulator.script(Fault("status", "submit_refund", status=503))
    refund = rig.run(order)
    assert refund.state is State.REFUNDED
    assert len(order.refunds) == 1
    events = [line["event"] for line in rig.ledger.history(refund.refund_id)]
    assert events.count("step.retry") == 1


def test_a_stale_read_does_not_double_a_refund(rig: Rig) -> None:
    """Without the token we may read old data for a while: the settle delay covers that."""
    clock = [1_000_000]
    rig.simulator.clock_ms = lambda: clock[0]
    rig.simulator.set_flags(stale_ms=5_000)
    order = rig.order(AFTER)
    rig.simulator.script(Fault("lost_reply", "submit_refund"))
    refund_id = rig.request(order)
    rig.run_queued()
    rig.redis.zadd(rig.key("due"), {refund_id: 1})
    rig.ledger.wake_due("rig", lead_ms=1)
    rig.run_queued()
    assert rig.ledger.history(refund_id)[-1]["event"] == "step.waiting"
    clock[0] += rig.settings.settle_delay_ms
    rig.run_until_idle()
    assert rig.load(refund_id).state is State.REFUNDED
    assert len(order.refunds) == 1


def test_without_fingerprints_an_unclear_refund_goes_to_a_person(rig: Rig) -> None:
    """If Wix does not return our fingerprint, we cannot know whose refund it is: no guess."""
    rig.simulator.set_flags(fingerprint_kept=False)
    order = rig.order(AFTER)
    rig.simulator.script(Fault("lost_reply", "submit_refund"))
    refund = rig.run(order)
    assert (refund.state, refund.reason["reason"]) == (State.DEAD, "outcome_unknown")
    assert len(order.refunds) == 1


def test_without_fingerprints_a_clear_refund_is_confirmed_by_its_id(rig: Rig) -> None:
    """The id in Wix's answer is enough."""
    rig.simulator.set_flags(fingerprint_kept=False)
    refund = rig.run(rig.order(AFTER))
    assert refund.state is State.REFUNDED


def test_a_refund_by_the_merchant_is_recognised(rig: Rig) -> None:
    """Everything is already refunded: a final answer, not a second refund."""
    order = rig.order(AFTER)
    rig.simulator.merchant_refunds(order.id)
    refund = rig.run(order)
    assert (refund.state, refund.reason["reason"]) == (State.REJECTED, "already_refunded")
    assert len(order.refunds) == 1


def test_a_refund_by_the_merchant_after_an_unclear_call_goes_to_a_person(rig: Rig) -> None:
    """Only a person can tell whether it is ours or the merchant's."""
    order = rig.order(AFTER)
    rig.simulator.script(Fault("status", "submit_refund", status=503))
    refund_id = rig.request(order)
    rig.run_queued()
    rig.simulator.merchant_refunds(order.id, reason="dashboard")
    rig.run_until_idle()
    refund = rig.load(refund_id)
    assert (refund.state, refund.reason["reason"]) == (State.DEAD, "outcome_unknown")
    assert len(order.refunds) == 1


@pytest.mark.parametrize("reason", sorted({*BLOCKED, "A_NEW_REASON"}))
def test_what_wix_cannot_refund_ends_with_its_code_and_our_sentence(rig: Rig, reason: str) -> None:
    """Upstream gets Wix's code and our sentence; an unknown code goes to a person."""
    order = rig.order(AFTER)
    order.payments[0].non_refundable = reason
    refund = rig.run(order)
    ours = REASONS[BLOCKED.get(reason, "refusal_unknown")]
    assert refund.state == ours.ends
    assert refund.reason["wix_code"] == reason
    assert refund.reason["sentence"] == ours.meaning
    assert order.refunds == []


def test_a_provider_that_is_down_is_tried_again(rig: Rig) -> None:
    """PROVIDER_IS_DOWN is not a refusal."""
    order = rig.order(AFTER)
    order.payments[0].non_refundable = "PROVIDER_IS_DOWN"
    refund_id = rig.request(order)
    rig.run_queued()
    order.payments[0].non_refundable = ""
    rig.run_until_idle()
    assert rig.load(refund_id).state is State.REFUNDED


@pytest.mark.parametrize(
    ("wix_reason", "state", "reason"),
    [
        ("DISABLED_BY_PROVIDER", State.REJECTED, "refund_disabled"),
        ("FORBIDDEN", State.DEAD, "refund_forbidden"),
        ("UNKNOWN_REASON", State.DEAD, "refusal_unknown"),
        ("BRAND_NEW", State.DEAD, "refusal_unknown"),
        (None, State.DEAD, "refusal_unknown"),
        ("", State.DEAD, "refusal_unknown"),
    ],
)
def test_a_refusal_of_the_call_itself_is_final(
    rig: Rig, wix_reason: str | None, state: State, reason: str
) -> None:
    """With Wix's code and request id; without a reason that we know, a person must find out."""
    order = rig.order(AFTER)
    data = {} if wix_reason is None else {"nonRefundableReason": wix_reason}
    rig.simulator.script(
        Fault("status", "submit_refund", status=428, code="PAYMENT_NOT_REFUNDABLE", data=data)
    )
    refund = rig.run(order)
    assert (refund.state, refund.reason["reason"]) == (state, reason)
    assert refund.reason["http_status"] == 428
    assert refund.reason["wix_request_id"]


def test_a_refusal_after_an_unclear_call_is_not_final(rig: Rig) -> None:
    """Wix may refuse because our earlier call succeeded."""
    order = rig.order(AFTER)
    rig.simulator.script(
        Fault("status", "submit_refund", status=500),
        Fault("status", "submit_refund", status=428, code="PAYMENT_NOT_REFUNDABLE"),
    )
    refund = rig.run(order)
    assert (refund.state, refund.reason["reason"]) == (State.DEAD, "outcome_unknown")
    assert order.refunds == []


def test_offline_payments_are_escalated(rig: Rig) -> None:
    """Wix cannot move that money; by default a person must."""
    order = rig.order(AFTER)
    order.payments[0].offline = True
    refund = rig.run(order)
    assert (refund.state, refund.reason["reason"]) == (State.DEAD, "manual_payment")


def test_offline_payments_are_recorded_when_the_job_says_so(rig: Rig) -> None:
    """`manual_payments: record`: Wix records a refund that was paid elsewhere."""
    order = rig.order(AFTER)
    order.payments[0].offline = True
    refund = rig.run(order, manual_payments="record")
    assert refund.state is State.REFUNDED
    assert order.refunds[0]["transactions"][0]["externalRefund"] is True


def test_a_refund_that_disappears_needs_a_person(rig: Rig) -> None:
    """Wix accepted it but no longer lists it."""
    order = rig.order(AFTER)
    rig.simulator.set_flags(provider_ms=1_000_000_000)
    refund_id = rig.request(order)
    rig.run_queued()
    order.refunds.clear()
    rig.run_until_idle()
    refund = rig.load(refund_id)
    assert (refund.state, refund.reason["reason"]) == (State.DEAD, "refund_vanished")


def test_a_full_refund_of_a_partly_refunded_order_is_the_rest(rig: Rig) -> None:
    """Never more than was paid."""
    order = rig.order(AFTER, amounts=("20.00", "5.50"))
    parts = [{"paymentId": order.payments[0].id, "amount": {"amount": "15.00"}}]
    rig.simulator._rule("submit_refund", order, {"paymentRefunds": parts})
    refund = rig.run(order)
    assert refund.state is State.REFUNDED
    assert refund.facts.refund_amount == "10.50"
    back = sum((order.refunded(p.id) for p in order.payments), Decimal(0))
    assert back == Decimal("25.50")


def test_a_refund_call_on_a_cancelled_order_may_be_refused(rig: Rig) -> None:
    """Whether Wix allows it is unknown; either way the refund ends with a clear reason."""
    rig.simulator.set_flags(refund_cancelled="428")
    order = rig.order(AFTER)
    rig.simulator.merchant_cancels(order.id)
    refund = rig.run(order)
    assert (refund.state, refund.reason["reason"]) == (State.DEAD, "refund_forbidden")
    assert order.refunds == []


def test_one_empty_list_does_not_make_a_pending_refund_a_dead_letter(rig: Rig) -> None:
    """Only consecutive looks that miss the refund count."""
    rig.simulator.set_flags(provider_ms=10**12)
    order = rig.order(AFTER)
    refund_id = rig.request(order)
    for _ in range(15):
        rig.run_queued()
        rig.let_an_hour_pass()
    saved = list(order.refunds)
    order.refunds.clear()
    rig.run_queued()
    assert rig.load(refund_id).state is State.REFUND_SUBMITTED
    assert rig.load(refund_id).facts.misses == 1
    order.refunds.extend(saved)
    rig.let_an_hour_pass()
    rig.run_queued()
    assert rig.load(refund_id).facts.misses == 0


@pytest.mark.parametrize("code", ["ORDER_NOT_FOUND", "", "NOT_FOUND"])
def test_an_order_that_appears_a_moment_later_is_refunded(rig: Rig, code: str) -> None:
    """Wix's reads may lag: a job younger than some minutes looks again."""
    order = rig.order(AFTER)
    rig.simulator.script(Fault("status", "get_order", status=404, code=code, times=3))
    assert rig.run(order).state is State.REFUNDED


def test_the_order_of_an_old_job_is_not_looked_for_again(rig: Rig) -> None:
    """It waited in its lane long enough for any read to catch up."""
    order = rig.order(AFTER)
    rig.simulator.script(Fault("status", "get_order", status=404, code="ORDER_NOT_FOUND"))
    refund_id = rig.request(order)
    rig._one("refunds")
    rig.redis.hincrby(rig.key("refund", refund_id), "accepted_at_ms", -3_600_000)
    rig.run_queued()
    refund = rig.load(refund_id)
    assert (refund.state, refund.reason["reason"]) == (State.REJECTED, "order_not_found")
