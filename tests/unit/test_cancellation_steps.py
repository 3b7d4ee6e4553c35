"""Single steps of the cancellation flow: what each returns, at its limits."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import pytest

from statemachine.flows import State
from tests.support.flow_step import NOW_MS, SETTINGS, seen, step_on, wix_at
from tests.support.rig import AFTER, BEFORE, STORE_ID
from worker.errors import Buried, Permanent, Rejected
from worker.flows import assessment, cancellation, restoring, unfulfilling, voiding
from worker.flows.step import MISSING_LOOKS, Advance, Step, Wait
from worker.observability.redaction import MASK
from worker.refund.facts import CancelRefusal, Facts
from worker.simulator import Fault, Simulator

LATE_MS = NOW_MS - 3_600_000


@pytest.fixture
def simulator() -> Simulator:
    """Return a Wix with a fixed time."""
    return wix_at()


def _refuse(simulator: Simulator, endpoint: str, code: str = "", status: int = 428) -> None:
    simulator.script(Fault("status", endpoint, status=status, code=code))


def _on(simulator: Simulator, *, step: dict[str, Any] | None = None, **order: Any) -> Step:
    placed = simulator.add_order(STORE_ID, **({"created_date": BEFORE} | order))
    given: dict[str, Any] = {"flow": "cancellation"} | (step or {})
    return step_on(simulator, placed, **given)


@pytest.mark.parametrize("created", [BEFORE, AFTER])
def test_an_assessment_records_when_the_order_was_placed_and_its_currency(
    simulator: Simulator, created: str
) -> None:
    """Operators see why the flow was chosen."""
    step = _on(simulator, created_date=created, currency="EUR")
    result = assessment.assess_order(step)
    assert isinstance(result, Advance)
    facts = step.facts | result.facts
    assert datetime.fromisoformat(facts.placed_at) == datetime.fromisoformat(created)
    assert facts.currency == "EUR"


@pytest.mark.parametrize(
    ("waiting_for_ms", "ends"), [(0, False), (86_399_999, False), (86_400_000, True)]
)
def test_an_order_has_a_limited_time_to_be_approved(
    simulator: Simulator, waiting_for_ms: int, ends: bool
) -> None:
    """Exactly `REFUNDS_APPROVAL_FOR_S`."""
    facts = Facts(waiting_since_ms=NOW_MS - waiting_for_ms)
    step = _on(simulator, status="INITIALIZED", step={"facts": facts})
    if ends:
        with pytest.raises(Rejected, match="order_not_approved"):
            assessment.assess_order(step)
    else:
        assert isinstance(assessment.assess_order(step), Wait)


@pytest.mark.parametrize("intent_at_ms", [0, LATE_MS])
def test_an_order_found_unfulfilled_was_unfulfilled_by_the_merchant_or_by_us(
    simulator: Simulator, intent_at_ms: int
) -> None:
    """By us if an earlier call may have done it."""
    step = _on(simulator, step={"intent_at_ms": intent_at_ms})
    result = unfulfilling.unfulfill_order(step)
    assert result == Advance(to=State.UNFULFILLED, by_merchant=not intent_at_ms)


@pytest.mark.parametrize("is_known", [True, False])
def test_a_new_fulfillment_is_saved_before_it_is_deleted(
    simulator: Simulator, is_known: bool
) -> None:
    """It counts as a change of the order if there were others before; the intent stays."""
    saved = Facts(fulfillments=({"id": "another", "lineItems": []},)) if is_known else Facts()
    step = _on(simulator, fulfillments=1, step={"facts": saved})
    wait = unfulfilling.unfulfill_order(step)
    assert isinstance(wait, Wait)
    assert (wait.in_ms, wait.effect_known) == (0, False)
    assert wait.facts == (Facts(rounds=1) if is_known else Facts())
    assert [f["id"] for f in step.learned.fulfillments] == [
        f["id"] for f in next(iter(simulator.orders.values())).fulfillments
    ]


@pytest.mark.parametrize(
    ("looks", "saved", "waits"),
    [
        (0, False, True),
        (unfulfilling.EMPTY_LOOKS - 2, False, True),
        (unfulfilling.EMPTY_LOOKS - 1, False, False),
        (SETTINGS.unfulfill_looks - 2, True, True),
        (SETTINGS.unfulfill_looks - 1, True, False),
    ],
)
@pytest.mark.parametrize("intent_at_ms", [0, LATE_MS])
def test_an_order_that_stays_fulfilled_is_looked_at_a_limited_number_of_times(
    simulator: Simulator, looks: int, saved: bool, waits: bool, intent_at_ms: int
) -> None:
    """Longer if we removed fulfillments; an earlier call stays unclear meanwhile."""
    facts = Facts(looks=looks)
    if saved:
        facts |= Facts(fulfillments=({"id": "f", "lineItems": []},), deleted=("f",))
    more = {"facts": facts, "intent_at_ms": intent_at_ms}
    result = unfulfilling.unfulfill_order(_on(simulator, marked_fulfilled=True, step=more))
    if waits:
        assert isinstance(result, Wait)
        assert result.facts == Facts(looks=looks + 1, waiting_since_ms=NOW_MS)
        assert result.in_ms == min(SETTINGS.confirm_cap_ms, SETTINGS.confirm_first_ms << looks)
        assert result.effect_known is (not intent_at_ms)
    else:
        assert result == Advance(to=State.UNFULFILLED, facts=Facts(still_fulfilled=True))


def _end(result: Advance | Wait) -> tuple[str, str, bool, bool]:
    assert isinstance(result, Advance)
    assert result.to is State.CANCELLED
    return result.facts.effect, result.facts.to_pay_back, result.found, result.by_merchant


def test_a_cancelled_order_ends_with_its_effect(simulator: Simulator) -> None:
    """Upstream reads which it was."""
    done = cancellation.cancel_order(_on(simulator))
    assert done == Advance(to=State.CANCELLED, facts=Facts(effect="order_cancelled"))
    again = _on(simulator, status="CANCELED")
    assert _end(cancellation.cancel_order(again)) == ("already_cancelled", "101.40", False, True)
    ours = _on(simulator, status="CANCELED", step={"intent_at_ms": LATE_MS})
    assert _end(cancellation.cancel_order(ours)) == ("order_cancelled", "101.40", True, False)


@pytest.mark.parametrize("intent_at_ms", [0, LATE_MS])
def test_before_a_cancel_a_fulfilled_order_without_fulfillments_is_looked_at_again(
    simulator: Simulator, intent_at_ms: int
) -> None:
    """The status may lag; an earlier call stays unclear meanwhile."""
    wait = cancellation.cancel_order(
        _on(simulator, marked_fulfilled=True, step={"intent_at_ms": intent_at_ms})
    )
    assert isinstance(wait, Wait)
    assert (wait.in_ms, wait.effect_known) == (SETTINGS.confirm_first_ms, not intent_at_ms)


@pytest.mark.parametrize("rounds", [SETTINGS.order_rounds - 1, SETTINGS.order_rounds])
def test_before_a_cancel_an_order_that_was_fulfilled_again_goes_back(
    simulator: Simulator, rounds: int
) -> None:
    """A limited number of times; its fulfillments are saved."""
    step = _on(simulator, fulfillments=1, step={"facts": Facts(rounds=rounds)})
    if rounds == SETTINGS.order_rounds:
        with pytest.raises(Buried, match=f"order_keeps_changing.*{rounds + 1} times"):
            cancellation.cancel_order(step)
        return
    result = cancellation.cancel_order(step)
    assert isinstance(result, Advance)
    assert (result.to, result.by_merchant) == (State.FULFILLED, True)
    assert (result.facts.rounds, result.facts.still_fulfilled) == (rounds + 1, False)
    assert len(result.facts.fulfillments) == 1


@pytest.mark.parametrize("looks", [0, SETTINGS.unfulfill_looks - 2, SETTINGS.unfulfill_looks - 1])
def test_a_cancel_refused_for_an_authorization_that_does_not_show_is_waited_out(
    simulator: Simulator, looks: int
) -> None:
    """A refused call had no effect, so nothing stays unclear."""
    _refuse(simulator, "cancel_order", "ORDER_HAS_AUTHORIZED_TRANSACTION")
    step = _on(simulator, step={"facts": Facts(looks=looks)})
    if looks == SETTINGS.unfulfill_looks - 1:
        with pytest.raises(Buried, match="order_authorized"):
            cancellation.cancel_order(step)
        return
    wait = cancellation.cancel_order(step)
    assert isinstance(wait, Wait)
    assert wait.effect_known is True


@pytest.mark.parametrize(
    ("status", "code", "reason"),
    [
        (404, "ORDER_NOT_FOUND", "refused_by_wix"),
        (404, "", "refused_by_wix"),
        (428, "ORDER_IS_PENDING", "order_pending"),
        (428, "ORDER_IS_REJECTED", "order_rejected"),
        (428, "A_NEW_CODE", "refused_by_wix"),
    ],
)
@pytest.mark.parametrize("is_saved", [True, False])
def test_a_refused_cancel_ends_or_restores_and_says_what_wix_said(
    simulator: Simulator, status: int, code: str, reason: str, is_saved: bool
) -> None:
    """Only if fulfillments were removed. A 404 says nothing: a look has just shown the order."""
    _refuse(simulator, "cancel_order", code, status)
    saved = Facts(fulfillments=({"id": "f", "lineItems": []},)) if is_saved else Facts()
    saved |= Facts(looks=MISSING_LOOKS)
    step = _on(simulator, step={"facts": saved})
    wix = {"endpoint": "cancel_order", "status": status, "code": code or None}
    if is_saved:
        result = cancellation.cancel_order(step)
        assert isinstance(result, Advance)
        assert result.to is State.RESTORING
        refusal = result.facts.refusal
        assert refusal is not None
        assert refusal.request_id
        assert refusal.model_dump(exclude={"request_id"}) == {"reason": reason, **wix}
    else:
        with pytest.raises((Rejected, Buried)) as ended:
            cancellation.cancel_order(step)
        assert seen(ended.value) == {"reason": reason, "has_request_id": True, **wix}


def _restore(step: Step) -> Buried:
    refusal = CancelRefusal(reason="refused_by_wix", endpoint="cancel_order", request_id="r-1")
    step.refund = step.refund._replace(facts=step.refund.facts | Facts(refusal=refusal))
    with pytest.raises(Buried) as ended:
        restoring.restore_fulfillments(step)
    return ended.value


@pytest.mark.parametrize("listed", [0, 1, 2, 3])
def test_of_parcels_that_look_the_same_each_counts_once(simulator: Simulator, listed: int) -> None:
    """Three were removed; those that Wix lists again are not created again."""
    lines = [{"price": "1.00", "quantity": 3}]
    parcels = [{"lineItems": [{"index": 0, "quantity": 1}]}] * 3
    order = simulator.add_order(STORE_ID, created_date=BEFORE, lines=lines, fulfillments=parcels)
    saved = tuple(dict(f) | {"id": f"old-{n}"} for n, f in enumerate(order.fulfillments))
    del order.fulfillments[listed:]
    step = step_on(simulator, order, Facts(fulfillments=saved))
    end = _restore(step)
    assert end.detail == "3 of 3 removed fulfillments are restored"
    assert len(order.fulfillments) == 3
    assert order.effects.count("create_fulfillment") == 3 - listed
    assert step.learned.restored == saved
    assert isinstance(end.cause, Permanent)
    assert end.cause.request_id == "r-1"


def test_a_masked_text_in_a_list_is_left_out(simulator: Simulator) -> None:
    """The others in the list are sent."""
    order = simulator.add_order(STORE_ID, created_date=BEFORE, fulfillments=1)
    whole = dict(order.fulfillments[0]) | {"notes": ["kept", f"t={MASK}"]}
    order.fulfillments.clear()
    step = step_on(simulator, order, Facts(fulfillments=(whole,)))
    end = _restore(step)
    assert "without fields that we do not keep: notes" in end.detail
    sent = [call for call in simulator.calls if call["endpoint"] == "create_fulfillment"]
    assert len(sent) == 1


@pytest.mark.parametrize("status", ["FAILED", "DECLINED", "REJECTED"])
def test_a_void_that_failed_needs_a_person(simulator: Simulator, status: str) -> None:
    """After a replay it is looked at, and sent again."""
    payments = [{"amount": "5.00", "authorized": True}]
    order = simulator.add_order(STORE_ID, created_date=AFTER, payments=payments)
    order.payments[0].void = {"status": status}
    facts = Facts(void_ids=(order.payments[0].id,))
    with pytest.raises(Buried) as ended:
        voiding.confirm_void(step_on(simulator, order, facts))
    assert (ended.value.reason, ended.value.detail) == ("void_failed", status)
    assert ended.value.resume is State.AUTHORIZED


@pytest.mark.parametrize(("left_ms", "ends"), [(1, False), (0, True), (-1, True)])
def test_a_void_is_waited_for_a_limited_time(
    simulator: Simulator, left_ms: int, ends: bool
) -> None:
    """Exactly `REFUNDS_CONFIRM_FOR_S`."""
    payments = [{"amount": "5.00", "authorized": True}]
    order = simulator.add_order(STORE_ID, created_date=AFTER, payments=payments)
    order.payments[0].void = {"status": "PENDING", "_asked_ms": 10**15}
    since_ms = NOW_MS - SETTINGS.confirm_for_s * 1000 + left_ms
    facts = Facts(void_ids=(order.payments[0].id,), waiting_since_ms=since_ms)
    step = step_on(simulator, order, facts)
    if ends:
        with pytest.raises(Buried, match="void_not_settled"):
            voiding.confirm_void(step)
    else:
        assert isinstance(voiding.confirm_void(step), Wait)
