"""Requests and answers in Wix's documented form, against our client and the simulator.

The simulator must answer a recorded request as recorded; the client must send it, and read the
recorded answer. So the two cannot agree on something that Wix does not do. The source of an example
is one of those in worker/wix/README.md; where it is not a sample of Wix's, the values are made up.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.golden.comparison import differences
from tests.support.wix_caller import Wix
from worker.errors import CallFailed, Permanent
from worker.wix.client import ClientFactory, WixStore

EXAMPLES = json.loads((Path(__file__).parent / "examples.json").read_text(encoding="utf-8"))
BY_NAME = {example["name"]: example for example in EXAMPLES}

ORDER = "67668940-527d-4465-94c6-5475d8c7a412"
PAYMENT = "b2215acc-4222-49a6-96ab-41f83272d603"
LINE = "00000000-0000-0000-0000-000000000001"


@dataclass(frozen=True)
class Read:
    """A call of the client, and the expected result."""

    call: Callable[[WixStore], Any]
    facts: Callable[[Any], Any]
    expected: Any


def _cancel(store: WixStore) -> Any:
    return store.cancel_order(ORDER, restock=True, notify_buyer=False)


def _create(store: WixStore) -> Any:
    asked = BY_NAME["createFulfillment"]["request"][2]["fulfillment"]
    return store.create_fulfillment("58c90000-0000-4000-8000-000000000001", asked)


def _refund(name: str) -> Callable[[WixStore], Any]:
    asked = {key: value for key, value in BY_NAME[name]["request"][2].items() if key != "orderId"}
    return lambda store: store.submit_refund(ORDER, asked)


def _refusal(error: Permanent) -> Any:
    return (error.code, dict(error.facts))


#: The expected result of each example that the client calls.
CLIENT: Mapping[str, Read] = {
    "getOrder": Read(
        lambda store: store.get_order(ORDER),
        lambda order: (
            order.created_date.isoformat(),
            (order.status, order.is_unfulfilled, order.currency),
            order.has_authorization,
        ),
        (
            "2024-03-31T13:42:13.136000+00:00",
            ("APPROVED", False, "USD"),
            False,
        ),
    ),
    "getOrder, not found": Read(
        lambda store: store.get_order(ORDER), _refusal, ("ORDER_NOT_FOUND", {})
    ),
    "cancelOrder": Read(_cancel, lambda order: order.is_cancelled, expected=True),
    "cancelOrder, authorized": Read(_cancel, _refusal, ("ORDER_HAS_AUTHORIZED_TRANSACTION", {})),
    "listFulfillmentsForSingleOrder": Read(
        lambda store: store.list_fulfillments("265c7d98-a7c3-48c4-89cd-bbdc00921eab"),
        lambda found: [(one.id, one.fingerprint) for one in found.fulfillments],
        [
            ("80f939c8-cdc4-44fe-a058-b54d506af170", f"{LINE}x2|12345"),
            ("eb9138ff-1490-4dbc-b053-743240b9ab8f", f"{LINE[:-1]}2x3|"),
        ],
    ),
    "deleteFulfillment": Read(
        lambda store: store.delete_fulfillment(
            "4c51c360-399f-4276-96b1-d85f0963dbfd", "0d824fc7-2621-4e97-a5c8-489ec1b43377"
        ),
        lambda answer: answer.is_empty,
        expected=True,
    ),
    "createFulfillment": Read(_create, lambda answer: answer, None),
    "createFulfillment, same number": Read(
        _create, _refusal, ("TRACKING_NUMBER_ALREADY_EXISTS", {})
    ),
    "getOrderRefundability": Read(
        lambda store: store.get_order_refundability(ORDER),
        lambda found: (
            [
                (
                    one.manually_refundable and one.manually_refundable.reason,
                    one.non_refundable and one.non_refundable.reason,
                )
                for one in found.payments
            ],
            found.payments[0].max_refund,
            [(line.line_item_id, line.available_refund_quantity) for line in found.lines],
        ),
        (
            [(None, None), ("OFFLINE", None), (None, "ALREADY_REFUNDED")],
            Decimal("101.40"),
            [(LINE, 2)],
        ),
    ),
    "calculateRefund": Read(
        lambda store: store.calculate_refund(
            ORDER, {"lineItems": [{"lineItemId": LINE, "quantity": 2}], "shipping": {}}
        ),
        lambda found: (found.refusal, found.total),
        (None, Decimal("101.40")),
    ),
    "refundPayments": Read(
        _refund("refundPayments"),
        lambda refund: (refund.reason, refund.total, refund.statuses),
        ("job 8f2c1a (ref 5d1e9c0a7b3f2244)", Decimal("101.40"), ("SCHEDULED",)),
    ),
    "refundPayments, pending": Read(
        _refund("refundPayments, pending"),
        _refusal,
        ("PAYMENT_NOT_REFUNDABLE", {"paymentId": PAYMENT, "nonRefundableReason": "PENDING_REFUND"}),
    ),
    "refundPayments, external": Read(
        _refund("refundPayments, external"),
        _refusal,
        ("EXTERNAL_REFUND_EXPECTED", {"paymentId": PAYMENT}),
    ),
    "voidAuthorizedPayments": Read(
        lambda store: store.void_payments(ORDER, [PAYMENT]),
        lambda answer: answer,
        None,
    ),
    "listTransactionsForSingleOrder": Read(
        lambda store: store.list_transactions(ORDER),
        lambda found: (
            [(one.id, one.effective_status, one.only_in_full) for one in found.payments],
            [refund.statuses for refund in found.refunds],
        ),
        ([(PAYMENT, "REFUNDED", False)], [("SUCCEEDED",)]),
    ),
}


@pytest.mark.parametrize("name", BY_NAME)
def test_the_simulator_answers_as_recorded(name: str) -> None:
    """With the status, and every recorded field with its value."""
    example, wix = BY_NAME[name], Wix()
    if placed := example.get("order"):
        order = wix.order(placed["created_date"], **_without(placed, "created_date"))
        order.fulfillments = example.get("fulfillments", order.fulfillments)
    wix.simulator.set_flags(**example.get("flags", {}))
    if before := example.get("before"):
        assert wix.call(*before).status_code == 200
    answer = wix.call(*example["request"])
    assert (answer.status_code, list(differences(example["response"], answer.json()))) == (
        example["status"],
        [],
    )


@pytest.mark.parametrize("name", CLIENT)
def test_the_client_asks_and_reads_as_recorded(name: str) -> None:
    """It sends verb, path and body as recorded, and reads the expected result."""
    example, read, seen = BY_NAME[name], CLIENT[name], []

    def answer(request: httpx.Request) -> httpx.Response:
        body = json.loads(request.content) if request.content else None
        seen.append([request.method, request.url.path, body])
        return httpx.Response(example["status"], json=filled(example["response"]))

    factory = ClientFactory(
        "http://wix.test",
        connect_timeout_ms=1_000,
        read_timeout_ms=1_000,
        total_timeout_ms=1_000,
        transport=lambda: httpx.MockTransport(answer),
    )
    store = factory.store("site", "IST.key", before_mutation=lambda: None)
    try:
        found = read.call(store)
    except CallFailed as error:
        found = error
    finally:
        factory.close()
    assert seen == [example["request"]]
    assert read.facts(found) == read.expected


def test_every_example_that_the_client_calls_is_read() -> None:
    """Examples are left out only for calls that the worker does not make."""
    assert BY_NAME.keys() - CLIENT.keys() == {"searchOrders", "updateFulfillment"}


@pytest.mark.parametrize(
    ("recorded", "found", "said"),
    [
        ({"a": 1}, {}, [".a is missing"]),
        ({"a": [1]}, {"a": [1, 2]}, [".a has 2 items, not 1"]),
        ({"a": "1"}, {"a": 1}, [".a is 1, not '1'"]),
        ({"a": True}, {"a": 1}, [".a is 1, not True"]),
        ({"id": "re_…"}, {"id": "pi_1"}, [".id is 'pi_1', not 're_…'"]),
        ({"amount": "5"}, {"amount": "5.00", "more": 1}, []),
        ({"amount": "5"}, {"amount": "NaN?"}, [".amount is 'NaN?', not '5'"]),
    ],
)
def test_what_differs_is_named(recorded: Any, found: Any, said: list[str]) -> None:
    """The comparison itself must be able to fail."""
    assert list(differences(recorded, found)) == said


def _without(given: Mapping[str, Any], name: str) -> dict[str, Any]:
    return {key: value for key, value in given.items() if key != name}


def filled(recorded: Any) -> Any:
    """Return a recorded answer with real values: dates for dates, ids elsewhere."""
    if isinstance(recorded, dict):
        return {name: filled(value) for name, value in recorded.items()}
    if isinstance(recorded, list):
        return [filled(value) for value in recorded]
    if isinstance(recorded, str):
        return recorded.replace("…T…Z", "2025-01-02T03:04:05.000Z").replace("…", "x1")
    return recorded
