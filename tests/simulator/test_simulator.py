"""The simulator follows the facts about Wix; for each unknown both answers are tested."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import httpx
import pytest

from worker.simulator import Fault, Flags, Simulator, serve
from worker.simulator.http.wsgi import wsgi
from worker.simulator.script.faults import ConnectionDropped
from worker.simulator.world.orders import Order

KEY = "IST.simulator"
AFTER = "2025-01-02T03:04:05.000Z"
NOBODY = "00000000-0000-4000-8000-00000000dead"


@pytest.fixture
def simulator() -> Simulator:
    """A simulator with one store."""
    simulator = Simulator()
    simulator.add_store("site", KEY)
    return simulator


@pytest.fixture
def http(simulator: Simulator) -> Iterator[httpx.Client]:
    """A client with the store's key."""
    headers = {"Authorization": KEY, "wix-site-id": "site"}
    transport = httpx.WSGITransport(wsgi(simulator))
    with httpx.Client(transport=transport, base_url="http://wix.test", headers=headers) as client:
        yield client


def _order(simulator: Simulator, **more: Any) -> Order:
    return simulator.add_order("site", created_date=AFTER, **more)


def _code(response: httpx.Response) -> tuple[int, str]:
    details = response.json()["details"]
    return response.status_code, details.get("applicationError", {}).get("code", "")


def _refund(http: httpx.Client, order: Order, **more: Any) -> httpx.Response:
    part = {"paymentId": order.payments[0].id, "amount": {"amount": "101.40"}} | more
    body = {"orderId": order.id, "paymentRefunds": [part], "customerReason": "r"}
    return http.post("/ecom/v1/order-billing/refund-payments", json=body)


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({"Authorization": ""}, (428, "MISSING_METASITE_ID")),
        ({"wix-site-id": ""}, (428, "MISSING_METASITE_ID")),
        ({"Authorization": "IST.other"}, (401, "")),
        ({"Authorization": f"Bearer {KEY}"}, (401, "")),
        ({"wix-site-id": "other"}, (403, "")),
    ],
)
def test_keys_are_checked_as_wix_does(
    simulator: Simulator, http: httpx.Client, headers: dict[str, str], expected: tuple[int, str]
) -> None:
    """428 without a site, 401 for an unknown key, 403 for another account's site. W1, W4, W6."""
    order = _order(simulator)
    assert _code(http.get(f"/ecom/v1/orders/{order.id}", headers=headers)) == expected


def test_another_stores_order_is_not_found(simulator: Simulator, http: httpx.Client) -> None:
    """A store sees only its own orders."""
    simulator.add_store("second", "IST.second")
    order = simulator.add_order("second", created_date=AFTER)
    assert _code(http.get(f"/ecom/v1/orders/{order.id}")) == (404, "ORDER_NOT_FOUND")


def test_a_call_that_wix_does_not_list_is_noted(simulator: Simulator, http: httpx.Client) -> None:
    """The books list calls to unknown endpoints."""
    assert http.post("/ecom/v1/orders/x/update-status").status_code == 404
    assert simulator.books()["unlisted_calls"] == ["POST /ecom/v1/orders/x/update-status"]


def test_a_cancel_moves_no_money(simulator: Simulator, http: httpx.Client) -> None:
    """The status is CANCELED, and the payment status is unchanged. W30."""
    order = _order(simulator)
    answer = http.post(f"/ecom/v1/orders/{order.id}/cancel", json={}).json()["order"]
    assert (answer["status"], answer["paymentStatus"]) == ("CANCELED", "PAID")


@pytest.mark.parametrize("status", ["PENDING", "REJECTED"])
def test_pending_and_rejected_orders_are_not_cancelled(
    simulator: Simulator, http: httpx.Client, status: str
) -> None:
    """428 with their codes (documented)."""
    order = _order(simulator, status=status)
    answer = http.post(f"/ecom/v1/orders/{order.id}/cancel", json={})
    assert _code(answer) == (428, f"ORDER_IS_{status}")


@pytest.mark.parametrize(("flag", "status"), [("ok", 200), ("428", 428)])
def test_unknowns_can_be_switched(
    simulator: Simulator, http: httpx.Client, flag: str, status: int
) -> None:
    """Cancelling twice, and cancelling a fulfilled order (unknown)."""
    simulator.set_flags(cancel_twice=flag, cancel_fulfilled=flag)
    twice, fulfilled = _order(simulator), _order(simulator, fulfillments=1)
    simulator.merchant_cancels(twice.id)
    for order in (twice, fulfilled):
        assert http.post(f"/ecom/v1/orders/{order.id}/cancel", json={}).status_code == status


def test_fulfillment_status_follows_the_fulfillments(
    simulator: Simulator, http: httpx.Client
) -> None:
    """FULFILLED, PARTIALLY_FULFILLED, NOT_FULFILLED. W41."""
    order = _order(simulator, fulfillments=2)
    seen = [http.get(f"/ecom/v1/orders/{order.id}").json()["order"]["fulfillmentStatus"]]
    for fulfillment in list(order.fulfillments):
        path = f"/ecom/v1/fulfillments/{fulfillment['id']}/orders/{order.id}"
        assert http.delete(path).status_code == 200
        seen.append(http.get(f"/ecom/v1/orders/{order.id}").json()["order"]["fulfillmentStatus"])
    assert seen == ["FULFILLED", "PARTIALLY_FULFILLED", "NOT_FULFILLED"]
    assert http.delete(path).status_code == 404
    simulator.set_flags(delete_twice="ok")
    assert http.delete(path).status_code == 200


def test_every_accepted_refund_moves_money_and_no_more_than_was_paid(
    simulator: Simulator, http: httpx.Client
) -> None:
    """There is no idempotency key; maxRefund = paid - refunded - pending (documented)."""
    order = _order(simulator)
    assert _refund(http, order, amount={"amount": "100.00"}).status_code == 200
    assert _code(_refund(http, order, amount={"amount": "1.41"})) == (
        400, "INVALID_PAYMENT_REFUND_AMOUNT",
    )  # fmt: skip
    assert _refund(http, order, amount={"amount": "1.40"}).status_code == 200
    assert _code(_refund(http, order)) == (428, "PAYMENT_NOT_REFUNDABLE")
    books = simulator.books()["orders"][order.id]
    assert (books["refunded"], books["payment_status"]) == ("101.40", "FULLY_REFUNDED")


def test_a_pending_refund_blocks_the_next(simulator: Simulator, http: httpx.Client) -> None:
    """PENDING_REFUND (documented)."""
    simulator.set_flags(provider_ms=10**9)
    order = _order(simulator)
    assert _refund(http, order, amount={"amount": "1.00"}).status_code == 200
    refused = _refund(http, order, amount={"amount": "1.00"})
    assert (
        refused.json()["details"]["applicationError"]["data"]["nonRefundableReason"]
        == "PENDING_REFUND"
    )


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"paymentId": NOBODY}, (404, "PAYMENT_NOT_FOUND")),
        ({"amount": {"amount": "0"}}, (400, "INVALID_PAYMENT_REFUND_AMOUNT")),
        ({"amount": {"amount": "101.41"}}, (400, "INVALID_PAYMENT_REFUND_AMOUNT")),
    ],
)
def test_wrong_refunds_are_refused(
    simulator: Simulator, http: httpx.Client, change: dict[str, Any], expected: tuple[int, str]
) -> None:
    """With Wix's codes. W65."""
    assert _code(_refund(http, _order(simulator), **change)) == expected


def test_offline_payments_need_an_external_refund(simulator: Simulator, http: httpx.Client) -> None:
    """It is only recorded, but not at once: meanwhile another one is refused. W66."""
    clock = [1_000_000]
    simulator.clock_ms = lambda: clock[0]
    order = _order(simulator)
    order.payments[0].offline = True
    assert _code(_refund(http, order)) == (428, "EXTERNAL_REFUND_EXPECTED")
    part = {"externalRefund": True, "amount": {"amount": "1.00"}}
    refund = _refund(http, order, **part).json()["refund"]
    assert refund["transactions"][0]["refundStatus"] == "PENDING"
    refused = _refund(http, order, **part)
    assert _code(refused) == (428, "PAYMENT_NOT_REFUNDABLE")
    data = refused.json()["details"]["applicationError"]["data"]
    assert data["nonRefundableReason"] == "PENDING_REFUND"
    clock[0] += simulator.flags.external_settles_ms
    assert _refund(http, order, **part).status_code == 200
    assert order.refunds[0]["transactions"][0]["refundStatus"] == "SUCCEEDED"


@pytest.mark.parametrize(("flag", "status"), [("full", 200), ("400", 400)])
def test_an_omitted_amount_can_be_switched(
    simulator: Simulator, http: httpx.Client, flag: str, status: int
) -> None:
    """What Wix does is unknown."""
    simulator.set_flags(amount_omitted=flag)
    assert _refund(http, _order(simulator), amount=None).status_code == status


@pytest.mark.parametrize("body", [{}, {"paymentRefunds": []}, {"paymentRefunds": [{}] * 51}])
def test_a_refund_needs_1_to_50_payments(
    simulator: Simulator, http: httpx.Client, body: dict[str, Any]
) -> None:
    """Validation errors are 400 (documented)."""
    body = {"orderId": _order(simulator).id} | body
    path = "/ecom/v1/order-billing/refund-payments"
    assert http.post(path, json=body).status_code == 400
    long = body | {"paymentRefunds": [{}], "customerReason": "x" * 201}
    assert http.post(path, json=long).status_code == 400
    assert http.post(path, content=b"{").status_code == 400


def test_the_provider_takes_its_time(simulator: Simulator, http: httpx.Client) -> None:
    """SCHEDULED, STARTED, PENDING, then SUCCEEDED, by the simulator's clock."""
    now = [0]
    simulator.clock_ms = lambda: now[0]
    simulator.set_flags(provider_ms=300)
    order = _order(simulator)
    _refund(http, order)
    seen = []
    for now[0] in (0, 100, 200, 300):
        body = http.get(f"/ecom/v1/payments/orders/{order.id}").json()["orderTransactions"]
        seen.append(body["refunds"][0]["transactions"][0]["refundStatus"])
    assert seen == ["SCHEDULED", "STARTED", "PENDING", "SUCCEEDED"]


def test_transactions_of_an_unknown_order_can_be_switched(
    simulator: Simulator, http: httpx.Client
) -> None:
    """Empty or 404 (unknown)."""
    assert http.get("/ecom/v1/payments/orders/nobody").json() == {}
    simulator.set_flags(unknown_transactions="404")
    assert http.get("/ecom/v1/payments/orders/nobody").status_code == 404


def test_a_read_without_the_token_may_be_stale(simulator: Simulator, http: httpx.Client) -> None:
    """For a while; it is current with the token (inferred)."""
    now = [1_000]
    simulator.clock_ms = lambda: now[0]
    simulator.set_flags(stale_ms=500, consistent_token=True)
    order = _order(simulator)
    answer = http.post(f"/ecom/v1/orders/{order.id}/cancel", json={})
    token = {"X-Wix-Consistent": answer.headers["x-wix-consistent"]}
    path = f"/ecom/v1/orders/{order.id}"
    assert http.get(path).json()["order"]["status"] == "APPROVED"
    assert http.get(path, headers=token).json()["order"]["status"] == "CANCELED"
    now[0] += 500
    assert http.get(path).json()["order"]["status"] == "CANCELED"


def test_faults_do_what_they_say(simulator: Simulator, http: httpx.Client) -> None:
    """Whether the call is carried out, and what the caller gets."""
    done = {}
    for kind in ("status", "lost_reply", "drop", "drop_after", "slow", "garbage", "empty"):
        order = _order(simulator)
        simulator.script(Fault(kind, "cancel_order", slow_ms=1, retry_after_s=7))
        try:
            response = http.post(f"/ecom/v1/orders/{order.id}/cancel", json={})
            seen = f"{response.status_code} {response.headers['retry-after']}"
        except ConnectionDropped:
            seen = "dropped"
        done[kind] = (seen, order.cancellations)
    assert done == {
        "status": ("503 7", 0),
        "lost_reply": ("504 7", 1),
        "drop": ("dropped", 0),
        "drop_after": ("dropped", 1),
        "slow": ("200 7", 1),
        "garbage": ("200 7", 1),
        "empty": ("200 7", 1),
    }


def test_the_admin_view_does_all_that_a_test_needs() -> None:
    """Over real HTTP: stores, orders, merchants, faults, flags, books."""
    simulator = Simulator(Flags())
    with (
        serve(simulator) as url,
        httpx.Client(base_url=f"{url}/_simulator", trust_env=False) as http,
    ):
        site = http.post("/stores", json={"api_key": "k"}).json()["site_id"]
        given = {"site_id": site, "created_date": AFTER}
        ids = [http.post("/orders", json=given).json()["order_id"] for _ in range(3)]
        for action, order_id in zip(("fulfills", "cancels", "refunds"), ids, strict=True):
            http.post("/merchant", json={"action": action, "order_id": order_id})
        http.post("/faults", json={"clear": True, "faults": [{"kind": "drop"}]})
        http.post("/flags", json={"stale_ms": 5})
        orders = http.get("/books").json()["orders"]
        assert orders[ids[0]]["fulfillment_status"] == "FULFILLED"
        assert orders[ids[1]]["status"] == "CANCELED"
        assert Decimal(orders[ids[2]]["refunded"]) == Decimal("101.40")
        assert http.post("/orders", json={"odd": 1}).status_code == 400
        assert http.get("/nothing").status_code == 404
    assert (simulator.flags.stale_ms, simulator.faults[0].kind) == (5, "drop")
