"""Single steps of the standard flow: what each returns, at its limits."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from statemachine.flows import State
from tests.support.flow_step import NOW_MS, SETTINGS, seen, step_on, wix_at
from tests.support.rig import AFTER, STORE_ID
from worker.errors import Buried, Rejected
from worker.flows import confirming, manual_payments, standard
from worker.flows.amounts import Source
from worker.flows.step import QUIET_LOOKS, Advance, Step, Wait
from worker.refund.facts import Facts, ManualAmount, RefundedPayment
from worker.simulator import Fault, Simulator
from worker.simulator.world.orders import Order
from worker.wix.refundability import PaymentRefundability

LATE_MS = NOW_MS - 3_600_000


@pytest.fixture
def simulator() -> Simulator:
    """Return a Wix with a fixed time."""
    return wix_at()


def _order(simulator: Simulator, **more: Any) -> Order:
    return simulator.add_order(STORE_ID, **({"created_date": AFTER} | more))


def _refuse(simulator: Simulator, code: str, **data: str) -> None:
    simulator.script(Fault("status", "submit_refund", status=428, code=code, data=data))


#: How far a wait is from its limit, and whether it ends.
LIMIT = [(1, False), (0, True), (-1, True)]


@pytest.mark.parametrize(
    ("wix_reason", "reason"),
    [("PROVIDER_IS_DOWN", "provider_down"), ("PENDING_REFUND", "refund_pending")],
)
@pytest.mark.parametrize(("left_ms", "ends"), LIMIT)
def test_a_provider_is_waited_for_a_limited_time(
    simulator: Simulator, wix_reason: str, reason: str, left_ms: int, ends: bool
) -> None:
    """Exactly `REFUNDS_CONFIRM_FOR_S`."""
    order = _order(simulator, payments=[{"amount": "5.00", "non_refundable": wix_reason}])
    since_ms = NOW_MS - SETTINGS.confirm_for_s * 1000 + left_ms
    step = step_on(simulator, order, Facts(waiting_since_ms=since_ms))
    if ends:
        with pytest.raises((Rejected, Buried)) as ended:
            standard.submit_refund(step)
        assert seen(ended.value) == {"reason": reason}
    else:
        assert isinstance(standard.submit_refund(step), Wait)


@pytest.mark.parametrize("intent_at_ms", [0, LATE_MS])
def test_while_a_provider_is_down_an_unclear_call_stays_unclear(
    simulator: Simulator, intent_at_ms: int
) -> None:
    """The wait says nothing about the call."""
    order = _order(simulator, payments=[{"amount": "5.00", "non_refundable": "PROVIDER_IS_DOWN"}])
    facts = Facts(quiet_looks=QUIET_LOOKS)
    wait = standard.submit_refund(step_on(simulator, order, facts, intent_at_ms=intent_at_ms))
    assert isinstance(wait, Wait)
    assert wait.effect_known is (not intent_at_ms)


@pytest.mark.parametrize("looks", [0, standard.VANISHED_LOOKS - 2, standard.VANISHED_LOOKS - 1])
def test_unlisted_money_is_looked_for_a_limited_number_of_times(
    simulator: Simulator, looks: int
) -> None:
    """After an unclear call; the call stays unclear meanwhile."""
    order = _order(simulator, payments=[{"amount": "50.00"}])
    simulator.merchant_refunds(order.id, "dashboard", "5.00")
    simulator.set_flags(refund_list_lag_ms=10**12)
    step = step_on(
        simulator,
        order,
        Facts(quiet_looks=QUIET_LOOKS, looks=looks),
        intent_at_ms=LATE_MS,
        amount="5.00",
        currency="USD",
    )
    if looks == standard.VANISHED_LOOKS - 1:
        with pytest.raises(Buried) as ended:
            standard.submit_refund(step)
        assert ended.value.reason == "outcome_unknown"
        assert "listed refunds" in ended.value.detail
        return
    wait = standard.submit_refund(step)
    assert isinstance(wait, Wait)
    assert (wait.effect_known, wait.facts.looks) == (False, looks + 1)


@pytest.mark.parametrize("rounds", [0, SETTINGS.order_rounds - 1, SETTINGS.order_rounds])
def test_an_authorization_is_voided_first_a_limited_number_of_times(
    simulator: Simulator, rounds: int
) -> None:
    """An order that is authorized again and again needs a person."""
    order = _order(simulator, payments=[{"amount": "5.00", "authorized": True}])
    step = step_on(simulator, order, Facts(rounds=rounds))
    if rounds < SETTINGS.order_rounds:
        assert standard.submit_refund(step) == Advance(
            to=State.AUTHORIZED, facts=Facts(rounds=rounds + 1)
        )
        return
    with pytest.raises(Buried, match=f"order_keeps_changing.*{rounds + 1} times"):
        standard.submit_refund(step)


def test_a_refund_that_is_found_is_recorded_at_once(simulator: Simulator) -> None:
    """With Wix's id, its sum and the parts."""
    order = _order(simulator, payments=[{"amount": "5.00"}, {"amount": "2.00"}])
    step = step_on(simulator, order, intent_at_ms=LATE_MS)
    simulator.merchant_refunds(order.id, f"(ref {step.refund.fingerprint})")
    result = standard.submit_refund(step)
    assert isinstance(result, Advance)
    assert (result.to, result.found) == (State.REFUND_SUBMITTED, True)
    assert (
        result.facts.known()
        == Facts(
            wix_refund_id=order.refunds[0]["id"],
            refund_amount="7.00",
            payments=tuple(
                RefundedPayment(payment_id=p.id, amount=a, status="SUCCEEDED", external=False)
                for p, a in zip(order.payments, ("5.00", "2.00"), strict=True)
            ),
            effect="payments_refunded",
        ).known()
    )


@pytest.mark.parametrize("changed", range(standard.CHANGED_LOOKS + 1))
def test_an_amount_that_is_refused_is_calculated_again_a_limited_number_of_times(
    simulator: Simulator, changed: int
) -> None:
    """A refused call had no effect, so nothing stays unclear."""
    _refuse(simulator, "INVALID_PAYMENT_REFUND_AMOUNT")
    step = step_on(simulator, _order(simulator), Facts(changed=changed))
    if changed + 1 < standard.CHANGED_LOOKS:
        wait = standard.submit_refund(step)
        assert isinstance(wait, Wait)
        assert (wait.effect_known, wait.facts.changed) == (True, changed + 1)
        return
    with pytest.raises(Rejected) as ended:
        standard.submit_refund(step)
    assert seen(ended.value)["code"] == "INVALID_PAYMENT_REFUND_AMOUNT"


@pytest.mark.parametrize(
    ("asked_before", "named", "waits"),
    [(False, True, True), (True, True, False), (False, False, False)],
)
def test_a_payment_that_wix_expects_to_be_paid_elsewhere_is_remembered_once(
    simulator: Simulator, asked_before: bool, named: bool, waits: bool
) -> None:
    """If Wix does not name the payment, or repeats itself, a person is asked."""
    order = _order(simulator, payments=[{"amount": "5.00"}])
    payment_id = order.payments[0].id
    known = Facts(manual_ids=(payment_id,)) if asked_before else Facts()
    _refuse(simulator, "EXTERNAL_REFUND_EXPECTED", **({"paymentId": payment_id} if named else {}))
    step = step_on(simulator, order, known, manual_payments="record")
    if waits:
        wait = standard.submit_refund(step)
        assert isinstance(wait, Wait)
        assert (wait.in_ms, wait.effect_known) == (0, True)
        assert wait.facts == Facts(manual_ids=(payment_id,))
    else:
        with pytest.raises(Buried) as ended:
            standard.submit_refund(step)
        assert seen(ended.value)["reason"] == "refused_by_wix"


@pytest.mark.parametrize(
    ("order", "job", "expected"),
    [
        (
            {"payments": [{"amount": "5.00", "non_refundable": "FORBIDDEN"}]},
            {},
            {"reason": "refund_forbidden", "code": "FORBIDDEN"},
        ),
        (
            {"payments": [{"amount": "5.00", "non_refundable": "ZERO_PRICE"}]},
            {},
            {"reason": "zero_price", "code": "ZERO_PRICE"},
        ),
        (
            {"payments": [{"amount": "5.00", "manual": "EXPIRED"}]},
            {},
            {"reason": "manual_payment", "code": "EXPIRED"},
        ),
        (
            {"payments": [{"amount": "5.00", "offline": True}]},
            {"amount": "1.00", "currency": "USD"},
            {"reason": "manual_payment", "code": "OFFLINE"},
        ),
    ],
)
def test_an_end_names_the_answer_of_wix_that_caused_it(
    simulator: Simulator, order: dict[str, Any], job: dict[str, Any], expected: dict[str, Any]
) -> None:
    """Wix's support asks for the id of the request."""
    step = step_on(simulator, _order(simulator, **order), **job)
    with pytest.raises((Rejected, Buried)) as ended:
        standard.submit_refund(step)
    wix = {"endpoint": "get_order_refundability", "status": 200, "has_request_id": True}
    assert seen(ended.value) == {**wix, **expected}


def _submitted(simulator: Simulator, order: Order, **facts: Any) -> Step:
    return step_on(simulator, order, Facts(**facts), state=State.REFUND_SUBMITTED)


@pytest.mark.parametrize(("left_ms", "ends"), LIMIT)
def test_a_refund_is_confirmed_within_a_limited_time(
    simulator: Simulator, left_ms: int, ends: bool
) -> None:
    """Exactly `REFUNDS_CONFIRM_FOR_S`; the end names what the provider says."""
    simulator.set_flags(provider_ms=10**15)
    order = _order(simulator, payments=[{"amount": "5.00"}])
    since_ms = NOW_MS - SETTINGS.confirm_for_s * 1000 + left_ms
    step = _submitted(simulator, order, waiting_since_ms=since_ms)
    simulator.merchant_refunds(order.id, f"(ref {step.refund.fingerprint})")
    if ends:
        with pytest.raises(Buried, match="refund_not_settled: SCHEDULED"):
            confirming.confirm_refund(step)
    else:
        wait = confirming.confirm_refund(step)
        assert isinstance(wait, Wait)
        assert (wait.effect_known, wait.facts.misses) == (True, 0)


@pytest.mark.parametrize("misses", [0, standard.VANISHED_LOOKS - 1, standard.VANISHED_LOOKS])
def test_a_refund_may_be_missing_from_the_list_a_limited_number_of_times(
    simulator: Simulator, misses: int
) -> None:
    """In a row."""
    step = _submitted(simulator, _order(simulator), misses=misses)
    if misses == standard.VANISHED_LOOKS:
        with pytest.raises(Buried, match=f"refund_vanished.*{misses + 1} looks"):
            confirming.confirm_refund(step)
    else:
        wait = confirming.confirm_refund(step)
        assert isinstance(wait, Wait)
        assert wait.facts.misses == misses + 1


PAID = ManualAmount(amount="15.00", already_returned="5.00")


@pytest.mark.parametrize(
    ("returned", "left", "record", "ask"),
    [
        ("5.00", "15.00", "15.00", None),  # nothing is recorded yet
        ("9.00", "11.00", "11.00", None),  # the merchant recorded a part
        ("20.00", "0", None, None),  # ... and everything
        ("5.00", "18.00", "15.00", "3.00"),  # more is left than was asked for
        ("1.00", "15.00", "15.00", None),  # less was returned than before we asked
    ],
)
def test_what_a_person_paid_is_recorded_except_what_the_merchant_recorded(
    returned: str, left: str, record: str | None, ask: str | None
) -> None:
    """A person paid 15.00 of a payment of which 5.00 had been returned before."""
    done = manual_payments.paid_manually(Facts(manual_paid={"p": PAID}))["p"]
    shown = PaymentRefundability.model_validate(
        {
            "payment": {
                "paymentId": "p",
                "monetary": {"refunded": {"amount": returned}, "refundPending": {"amount": "0"}},
            },
            "manuallyRefundable": {"reason": "OFFLINE"},
        }
    )
    source = Source(payment_id="p", max_refund=Decimal(left), external=True)
    parts = manual_payments.split_manual(shown, source, done)
    assert parts.counted == Decimal("15.00")
    assert (parts.record and parts.record.max_refund) == (record and Decimal(record))
    assert (parts.ask and parts.ask.source.max_refund) == (ask and Decimal(ask))
