"""Orders placed on or after the cutoff, from the job to Wix's books."""

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
    """One call moves the money; the end is told only when the provider has paid."""
    order = rig.order(AFTER)
    refund = rig.run(order, reason="damaged")
    assert refund.state is State.REFUNDED
    assert [r["details"]["reason"] for r in order.refunds] == [
        f"(ref {refund.fingerprint}) damaged"
    ]
    assert rig.simulator.books()["orders"][order.id]["refunded"] == "101.40"
    assert refund.facts.refund_amount == "101.40"


def test_several_payments_are_refunded_in_one_call(rig: Rig) -> None:
    """Every payment by what can still go back of it."""
    order = rig.order(AFTER, amounts=("20.00", "5.50"))
    refund = rig.run(order)
    assert refund.state is State.REFUNDED
    amounts = [t["amount"]["amount"] for t in order.refunds[0]["transactions"]]
    assert amounts == ["20.00", "5.50"]
    assert len(order.refunds) == 1


@pytest.mark.parametrize("kind", ["lost_reply", "drop_after", "garbage", "empty"])
def test_a_refund_whose_reply_is_lost_is_found_by_its_fingerprint(rig: Rig, kind: Kind) -> None:
    """There is no idempotency key; the fingerprint takes its place."""
    order = rig.order(AFTER)
    rig.simulator.script(Fault(kind, "submit_refund"))
    refund = rig.run(order)
    assert refund.state is State.REFUNDED
    assert len(order.refunds) == 1
    assert any(line.get("found") for line in rig.ledger.history(refund.refund_id))


def test_a_refund_that_really_failed_is_sent_again_after_the_settle_delay(rig: Rig) -> None:
    """Not shown at once is not the same as not done; not shown later is."""
    order = rig.order(AFTER)
    rig.simulator.script(Fault("status", "submit_refund", status=503))
    refund = rig.run(order)
    assert refund.state is State.REFUNDED
    assert len(order.refunds) == 1
    events = [line["event"] for line in rig.ledger.history(refund.refund_id)]
    assert events.count("step.retry") == 1


def test_a_stale_read_does_not_double_a_refund(rig: Rig) -> None:
    """A reader without the token sees old books for a while: the settle delay covers it."""
    clock = [1_000_000]
    rig.simulator.clock_ms = lambda: clock[0]
    rig.simulator.set_flags(stale_ms=5_000, consistent_token=False)
    order = rig.order(AFTER)
    rig.simulator.script(Fault("lost_reply", "submit_refund"))
    refund_id = rig.request(order)
    rig.turn()
    rig.redis.zadd(rig.key("due"), {refund_id: 1})
    rig.ledger.wake_due("rig", lead_ms=1)
    rig.turn()
    assert rig.ledger.history(refund_id)[-1]["event"] == "step.waiting"
    clock[0] += rig.settings.settle_delay_ms
    rig.settle()
    assert rig.load(refund_id).state is State.REFUNDED
    assert len(order.refunds) == 1


def test_without_fingerprints_an_unclear_refund_goes_to_a_person(rig: Rig) -> None:
    """If Wix does not return our mark, we cannot know whose refund it is: never a guess."""
    rig.simulator.set_flags(fingerprint_kept=False)
    order = rig.order(AFTER)
    rig.simulator.script(Fault("lost_reply", "submit_refund"))
    refund = rig.run(order)
    assert (refund.state, refund.reason["reason"]) == (State.DEAD, "outcome_unknown")
    assert len(order.refunds) == 1


def test_without_fingerprints_a_clear_refund_is_confirmed_by_its_id(rig: Rig) -> None:
    """The answer told its id; that is enough."""
    rig.simulator.set_flags(fingerprint_kept=False)
    refund = rig.run(rig.order(AFTER))
    assert refund.state is State.REFUNDED


def test_a_merchants_own_refund_is_recognised(rig: Rig) -> None:
    """Everything is refunded already, not by us: an answer, not a second refund."""
    order = rig.order(AFTER)
    rig.simulator.merchant_refunds(order.id)
    refund = rig.run(order)
    assert (refund.state, refund.reason["reason"]) == (State.REJECTED, "already_refunded")
    assert len(order.refunds) == 1


def test_a_merchants_refund_during_our_uncertainty_goes_to_a_person(rig: Rig) -> None:
    """Ours or the merchant's? Only a person can tell."""
    order = rig.order(AFTER)
    rig.simulator.script(Fault("status", "submit_refund", status=503))
    refund_id = rig.request(order)
    rig.turn()
    rig.simulator.merchant_refunds(order.id, reason="by hand")
    rig.settle()
    refund = rig.load(refund_id)
    assert (refund.state, refund.reason["reason"]) == (State.DEAD, "outcome_unknown")
    assert len(order.refunds) == 1


@pytest.mark.parametrize("reason", sorted({*BLOCKED, "A_WORD_OF_TOMORROW"}))
def test_what_wix_cannot_refund_ends_with_its_code_and_our_sentence(rig: Rig, reason: str) -> None:
    """Upstream gets Wix's code and our sentence; a word that we do not know goes to a person."""
    order = rig.order(AFTER)
    order.payments[0].non_refundable = reason
    refund = rig.run(order)
    ours = REASONS[BLOCKED.get(reason, "refusal_unknown")]
    assert refund.state == ours.ends
    assert refund.reason["wix_code"] == reason
    assert refund.reason["sentence"] == ours.meaning
    assert order.refunds == []


def test_a_provider_that_is_down_is_tried_again(rig: Rig) -> None:
    """PROVIDER_IS_DOWN is no refusal."""
    order = rig.order(AFTER)
    order.payments[0].non_refundable = "PROVIDER_IS_DOWN"
    refund_id = rig.request(order)
    rig.turn()
    order.payments[0].non_refundable = ""
    rig.settle()
    assert rig.load(refund_id).state is State.REFUNDED


def test_a_refusal_of_the_call_itself_is_rejected(rig: Rig) -> None:
    """428 was not executed: final, with code and request id."""
    order = rig.order(AFTER)
    fault = Fault("status", "submit_refund", status=428, code="PAYMENT_NOT_REFUNDABLE")
    rig.simulator.script(fault)
    refund = rig.run(order)
    assert (refund.state, refund.reason["reason"]) == (State.REJECTED, "not_refundable")
    assert refund.reason["http_status"] == 428
    assert refund.reason["wix_request_id"]


def test_a_refusal_after_an_unclear_call_is_not_final(rig: Rig) -> None:
    """What Wix refuses now may be refused because our earlier call did it."""
    order = rig.order(AFTER)
    rig.simulator.script(
        Fault("status", "submit_refund", status=500),
        Fault("status", "submit_refund", status=428, code="PAYMENT_NOT_REFUNDABLE"),
    )
    refund = rig.run(order)
    assert (refund.state, refund.reason["reason"]) == (State.DEAD, "outcome_unknown")
    assert order.refunds == []


def test_offline_payments_are_escalated(rig: Rig) -> None:
    """Wix cannot move that money; by default a person does."""
    order = rig.order(AFTER)
    order.payments[0].offline = True
    refund = rig.run(order)
    assert (refund.state, refund.reason["reason"]) == (State.DEAD, "manual_payment")


def test_offline_payments_are_recorded_when_the_job_says_so(rig: Rig) -> None:
    """`manual_payments: record`: Wix notes a refund that was paid elsewhere."""
    order = rig.order(AFTER)
    order.payments[0].offline = True
    refund = rig.run(order, manual_payments="record")
    assert refund.state is State.REFUNDED
    assert order.refunds[0]["transactions"][0]["externalRefund"] is True


@pytest.mark.parametrize(
    ("outcomes", "state", "reason"),
    [
        (("FAILED", "FAILED"), State.REJECTED, "refund_failed"),
        (("FAILED", "SUCCEEDED"), State.DEAD, "refund_mixed"),
    ],
)
def test_a_provider_that_refuses_is_told_as_it_is(
    rig: Rig, outcomes: tuple[str, str], state: State, reason: str
) -> None:
    """All failed: no money moved. Some failed: a person compares."""
    order = rig.order(AFTER, amounts=("20.00", "5.50"))
    for payment, outcome in zip(order.payments, outcomes, strict=True):
        payment.outcome = outcome
    refund = rig.run(order)
    assert (refund.state, refund.reason["reason"]) == (state, reason)
    assert "INSUFFICIENT_FUNDS" in refund.reason["detail"]
    amounts = "paid 5.50 USD, failed 20.00 USD"
    assert (amounts in refund.reason["detail"]) == (reason == "refund_mixed")


def test_a_pending_provider_is_waited_for_without_spending_attempts(rig: Rig) -> None:
    """Waiting is no attempt, and it is told."""
    clock = [1_000_000]
    rig.simulator.clock_ms = lambda: clock[0]
    rig.simulator.set_flags(provider_ms=60_000)
    refund_id = rig.request(rig.order(AFTER))
    rig.turn()
    for _ in range(7):
        assert rig.later() == 1
        rig.turn()
    assert rig.load(refund_id).state is State.REFUND_SUBMITTED
    assert rig.load(refund_id).attempts == 2
    clock[0] += 60_000
    rig.settle()
    assert rig.load(refund_id).state is State.REFUNDED


def test_a_provider_that_never_settles_needs_a_person(rig: Rig) -> None:
    """We do not wait for ever."""
    rig.simulator.clock_ms = lambda: 1_000_000
    rig.simulator.set_flags(provider_ms=60_000)
    refund_id = rig.request(rig.order(AFTER))
    rig.turn()
    key = rig.key("refund", refund_id)
    facts = rig.redis.hget(key, "facts").replace(
        '"waiting_since_ms": ', '"waiting_since_ms": 1, "x": '
    )
    rig.redis.hset(key, "facts", facts)
    rig.settle()
    refund = rig.load(refund_id)
    assert (refund.state, refund.reason["reason"]) == (State.DEAD, "refund_not_settled")


def test_a_refund_that_wix_forgets_needs_a_person(rig: Rig) -> None:
    """Wix answered with it and does not list it any more."""
    order = rig.order(AFTER)
    rig.simulator.set_flags(provider_ms=1_000_000_000)
    refund_id = rig.request(order)
    rig.turn()
    order.refunds.clear()
    rig.settle()
    refund = rig.load(refund_id)
    assert (refund.state, refund.reason["reason"]) == (State.DEAD, "refund_vanished")


def test_a_partly_refunded_order_gets_the_rest(rig: Rig) -> None:
    """A full refund is what is left, never more than was paid."""
    order = rig.order(AFTER, amounts=("20.00", "5.50"))
    parts = [{"paymentId": order.payments[0].id, "amount": {"amount": "15.00"}}]
    rig.simulator._rule("submit_refund", order, {"paymentRefunds": parts})
    refund = rig.run(order)
    assert refund.state is State.REFUNDED
    assert refund.facts.refund_amount == "10.50"
    back = sum((order.refunded(p.id) for p in order.payments), Decimal(0))
    assert back == Decimal("25.50")


def test_a_refund_call_on_a_cancelled_order_may_be_refused(rig: Rig) -> None:
    """Whether Wix allows it is unknown; both ways end clearly."""
    rig.simulator.set_flags(refund_cancelled="428")
    order = rig.order(AFTER)
    rig.simulator.merchant_cancels(order.id)
    refund = rig.run(order)
    assert (refund.state, refund.reason["reason"]) == (State.DEAD, "refund_forbidden")
    assert order.refunds == []
