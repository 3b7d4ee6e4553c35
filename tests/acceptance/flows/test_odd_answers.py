"""An answer of Wix that is not as documented never decides a refund."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import httpx
import pytest
from pydantic import BaseModel

from statemachine.flows import State
from tests.support.rig import AFTER, BEFORE, Rig, settings_for
from tests.support.transport import SimulatorTransport
from tests.support.unread import CHANGES, changed, unread
from worker.simulator import Fault, Simulator
from worker.simulator.contract.routes import find
from worker.simulator.http.wsgi import wsgi
from worker.simulator.world.orders import Order
from worker.wix.billing import RefundAnswer, TransactionsAnswer, VoidAnswer
from worker.wix.models import (
    CancelAnswer,
    FulfillmentsAnswer,
    FulfillmentsChanged,
    OrderAnswer,
)
from worker.wix.refundability import Calculation, Refundability

#: A body with status 200 that is really an error.
ERROR_BODY = {"message": "Internal error", "details": {}}
#: Bodies that answer no call.
NO_ANSWERS: tuple[Any, ...] = (
    {},
    ERROR_BODY,
    {"payments": None},
    {"orderTransactions": {}},
    [],
    None,
    "ok",
    3,
)
#: Each reading call, with bodies in which a field that we need is absent.
INCOMPLETE: tuple[tuple[str, Any], ...] = (
    ("get_order", {"order": {}}),
    ("get_order_refundability", {"payments": []}),
    ("get_order_refundability", {"payments": [{}]}),
    ("get_order_refundability", {"payments": [{"payment": {}}]}),
    ("get_order_refundability", {"payments": {}}),
    ("list_transactions", {"orderTransactions": None}),
    ("list_transactions", {"orderTransactions": {"payments": []}}),
    ("list_transactions", {"orderTransactions": {"refunds": []}}),
    ("list_transactions", {"orderTransactions": {"payments": None, "refunds": None}}),
    ("list_transactions", {"orderTransactions": {"payments": [{}], "refunds": []}}),
    ("list_transactions", {"orderTransactions": {"payments": [], "refunds": [{"id": "r"}]}}),
    ("calculate_refund", {"available": True}),
    ("calculate_refund", {"available": False}),
    ("calculate_refund", {"available": True, "summary": {"total": {}}}),
    ("calculate_refund", {"notAvailable": {}}),
    ("calculate_refund", {"notAvailable": {"errors": []}}),
    ("calculate_refund", {"notAvailable": {"errors": [{"error": {"systemError": {}}}]}}),
)
READS = ("get_order", "get_order_refundability", "list_transactions", "calculate_refund")
CASES: list[tuple[str, Any]] = [
    (endpoint, body) for endpoint in READS for body in NO_ANSWERS
] + list(INCOMPLETE)


def _lines(order: Order) -> dict[str, Any]:
    return {"lines": [{"line_item_id": order.lines[0].id, "quantity": order.lines[0].quantity}]}


def _refunded(order: Order) -> Decimal:
    return sum((order.refunded(payment.id) for payment in order.payments), Decimal(0))


@pytest.mark.parametrize(("endpoint", "body"), CASES, ids=str)
def test_an_odd_answer_to_a_reading_call_is_retried(rig: Rig, endpoint: str, body: Any) -> None:
    """It does not mean "none": the refund is made once Wix answers as documented."""
    order = rig.order(AFTER)
    rig.simulator.script(Fault("odd", endpoint, body=body, times=2))
    refund = rig.run(order, **_lines(order))
    assert (refund.state, refund.reason) == (State.REFUNDED, {})
    assert _refunded(order) == Decimal("101.40")


@pytest.mark.parametrize(("endpoint", "body"), CASES, ids=str)
def test_odd_answers_that_go_on_are_never_reported_as_a_rejection(
    rig: Rig, endpoint: str, body: Any
) -> None:
    """A person is asked; nothing was refunded, and a replay refunds it."""
    order = rig.order(AFTER)
    rig.simulator.script(Fault("odd", endpoint, body=body, times=10**6))
    refund = rig.run(order, **_lines(order))
    is_json = isinstance(body, dict)
    reason = "answer_unreadable" if is_json else "attempts_used_up"
    assert (refund.state, refund.reason["reason"]) == (State.DEAD, reason)
    assert order.refunds == []
    rig.simulator.clear_faults()
    assert rig.replay(refund.refund_id, operator="ann")
    rig.run_until_idle()
    assert rig.load(refund.refund_id).state is State.REFUNDED
    assert _refunded(order) == Decimal("101.40")


@pytest.mark.parametrize(
    ("endpoint", "body"),
    [
        ("get_order", {"order": {}}),
        ("get_order", {"order": {"status": "APPROVED"}}),
        *(("list_fulfillments", body) for body in NO_ANSWERS[:2]),
        ("list_fulfillments", {"orderWithFulfillments": {}}),
        *(("delete_fulfillment", body) for body in NO_ANSWERS),
        *(("cancel_order", body) for body in NO_ANSWERS),
        ("cancel_order", {"order": {}}),
    ],
    ids=str,
)
def test_an_odd_answer_while_cancelling_is_retried(rig: Rig, endpoint: str, body: Any) -> None:
    """Each fulfillment is deleted, and the order is cancelled once."""
    order = rig.order(BEFORE, fulfillments=2)
    rig.simulator.script(Fault("odd", endpoint, body=body, times=2))
    refund = rig.run(order)
    assert refund.state is State.CANCELLED
    assert (order.cancellations, order.fulfillments) == (1, [])


@pytest.mark.parametrize("name", ["fulfillmentStatus", "status", "createdDate", "currency"])
@pytest.mark.parametrize("odd", [None, 0, 1_700_000_000, "", {}])
def test_an_order_without_a_field_that_decides_is_unreadable(rig: Rig, name: str, odd: Any) -> None:
    """Nothing is guessed: not its age, not its currency, and not whether it is fulfilled."""
    order = rig.order(BEFORE, extra={name: odd})
    refund = rig.run(order)
    reason = "order_status_unknown" if (name, odd) == ("status", "") else "answer_unreadable"
    assert (refund.state, refund.reason["reason"]) == (State.DEAD, reason)
    assert order.cancellations == 0


def test_the_amount_of_a_payment_is_not_left_out(rig: Rig) -> None:
    """Without `maxRefund`, Wix would choose the amount for a card payment."""
    order = rig.order(AFTER)
    payments: tuple[dict[str, Any], ...] = ({}, {"monetary": {}}, {"monetary": {"maxRefund": None}})
    for payment in payments:
        shown = {"paymentId": order.payments[0].id, **payment}
        body = {"payments": [{"refundable": True, "payment": shown}]}
        rig.simulator.script(Fault("odd", "get_order_refundability", body=body))
    refund_id = rig.request(order)
    rig.run_until_idle()
    assert order.refunds == []
    assert rig.load(refund_id).reason["reason"] == "answer_unreadable"


def test_single_odd_answers_do_not_add_up(redis_url: str, simulator: Simulator) -> None:
    """After other failures, or between good answers, a single odd answer is retried as well."""
    rig = Rig(settings_for(redis_url, retry_attempts="100"), simulator)
    rig.simulator.set_flags(provider_ms=10**12)
    order = rig.order(AFTER)
    refund_id = rig.request(order)
    rig.simulator.script(
        Fault("status", "get_order", status=503, times=2), Fault("odd", "get_order", body={})
    )
    for number in range(20):
        if number > 6 and number % 2:
            rig.simulator.script(Fault("odd", "list_transactions", body={}))
        rig.run_queued()
        rig.let_an_hour_pass()
    odd = [line for line in rig.ledger.history(refund_id) if line["event"] == "step.retry"]
    assert len(odd) > 6
    assert rig.load(refund_id).state is State.REFUND_SUBMITTED
    rig.close()


@pytest.mark.parametrize(
    ("status", "code"),
    [
        (400, ""),
        (400, "NEW"),
        (404, ""),
        (404, "NEW"),
        (428, "NEW"),
        (428, ""),
        (501, ""),
        (418, ""),
    ],
)
@pytest.mark.parametrize(
    "endpoint", ["get_order_refundability", "list_transactions", "calculate_refund"]
)
def test_a_refusal_that_no_table_knows_is_a_dead_letter(
    rig: Rig, endpoint: str, status: int, code: str
) -> None:
    """Upstream gets no rejection; a person sees what Wix answered."""
    order = rig.order(AFTER)
    rig.simulator.script(Fault("status", endpoint, status=status, code=code, times=10**6))
    refund = rig.run(order, **_lines(order))
    assert (refund.state, refund.reason["reason"]) == (State.DEAD, "refused_by_wix")
    assert (refund.reason["http_status"], refund.reason.get("wix_code", "")) == (status, code)


@pytest.mark.parametrize(
    ("body", "state", "reason"),
    [
        ({"applicationError": {"code": "LINE_ITEM_NOT_FOUND"}}, "rejected", "lines_not_refundable"),
        ({"applicationError": {"code": "A_NEW_CODE"}}, "dead", "refused_by_wix"),
        ({"validationError": {"fieldViolations": []}}, "dead", "refused_by_wix"),
    ],
)
def test_only_codes_of_the_table_reject_the_lines(
    rig: Rig, body: dict[str, Any], state: str, reason: str
) -> None:
    """A calculation that is not available names an error per item."""
    order = rig.order(AFTER)
    answer = {"notAvailable": {"errors": [{"lineItem": {}, "error": body}]}}
    rig.simulator.script(Fault("odd", "calculate_refund", body=answer, times=10**6))
    refund = rig.run(order, **_lines(order))
    assert (refund.state.value, refund.reason["reason"]) == (state, reason)


#: The model of each answer; refunds make no other calls.
READ_AS: dict[str, type[BaseModel]] = {
    "get_order": OrderAnswer,
    "cancel_order": CancelAnswer,
    "list_fulfillments": FulfillmentsAnswer,
    "delete_fulfillment": FulfillmentsChanged,
    "get_order_refundability": Refundability,
    "calculate_refund": Calculation,
    "submit_refund": RefundAnswer,
    "list_transactions": TransactionsAnswer,
    "void_payments": VoidAnswer,
}


class _Changing(SimulatorTransport):
    """Changes all fields of Wix's answers that the worker does not read."""

    def __init__(self, simulator: Simulator, change: str) -> None:
        super().__init__(wsgi(simulator))
        self.change = change
        self.changed: set[str] = set()

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Answer with changed fields."""
        answer = super().handle_request(request)
        found = find(request.method, request.url.path)
        assert found
        endpoint, body = found[0].endpoint, json.loads(answer.read())
        if answer.status_code != 200:
            return answer
        paths = list(unread(READ_AS[endpoint], body))
        if paths:
            self.changed.add(endpoint)
        return httpx.Response(200, json=changed(body, self.change, paths))


@pytest.mark.parametrize("change", CHANGES)
def test_unread_fields_decide_no_refund(redis_url: str, simulator: Simulator, change: str) -> None:
    """If they are removed, null or of another type in every answer, all refunds end as before."""
    rig = Rig(settings_for(redis_url), simulator)
    transport = _Changing(simulator, change)
    rig.wix._transport = lambda: transport
    shipped = rig.order(BEFORE, fulfillments=2)
    authorized = rig.order(AFTER, payments=[{"amount": "20.00", "authorized": True}])
    mixed = rig.order(
        AFTER, payments=[{"amount": "20.00", "kind": "gift_card"}, {"amount": "81.40"}]
    )
    lines = rig.order(AFTER)
    manual = rig.order(AFTER, payments=[{"amount": "5.00", "offline": True}])
    assert rig.run(shipped).state is State.CANCELLED
    assert rig.run(authorized).state is State.VOIDED
    assert rig.run(mixed, restock=True).state is State.REFUNDED
    assert rig.run(lines, **_lines(lines)).state is State.REFUNDED
    assert rig.run(manual, manual_payments="record").facts.effect == "refund_recorded"
    assert (shipped.cancellations, shipped.fulfillments) == (1, [])
    assert [_refunded(order) for order in (mixed, lines)] == [Decimal("101.40")] * 2
    # Their answers have no other field than the one that must be present.
    assert READ_AS.keys() - transport.changed == {"void_payments", "delete_fulfillment"}
    rig.close()
