"""A plain HTTP client of the simulator, for the tests of the simulator itself."""

from __future__ import annotations

from typing import Any

import httpx

from worker.simulator import Simulator
from worker.simulator.http.wsgi import wsgi
from worker.simulator.world.orders import Order

KEY = "IST.simulator"
SITE = "4b296c48-0000-4000-8000-000000000001"
ACCOUNT = "99714651-d974-4878-aa0a-1cd1d7341156"
NOBODY = "00000000-0000-4000-8000-00000000dead"
BEFORE, AFTER = "2024-03-31T13:42:13.136Z", "2025-01-02T03:04:05.000Z"
BILLING = "/ecom/v1/order-billing"


class Wix:
    """A simulator with one store, and a client with its key."""

    def __init__(self) -> None:
        self.now_ms = 1_800_000_000_000
        self.simulator = Simulator(clock_ms=lambda: self.now_ms)
        self.simulator.add_store(SITE, KEY, account_id=ACCOUNT)
        self.http = httpx.Client(
            transport=httpx.WSGITransport(wsgi(self.simulator)), base_url="http://wix.test"
        )

    def order(self, created: str = AFTER, **more: Any) -> Order:
        """Place an order."""
        return self.simulator.add_order(SITE, created_date=created, **more)

    def call(
        self, verb: str, path: str, body: Any = None, *, key: str = KEY, **headers: str
    ) -> httpx.Response:
        """Send a call as the store; in the names of *headers*, `_` stands for `-`."""
        sent = {"wix_site_id": SITE} | headers
        named = {name.replace("_", "-"): value for name, value in sent.items() if value}
        if key:
            named["Authorization"] = key
        return self.http.request(verb, path, json=body, headers=named)

    def account(self, path: str, body: Any, key: str = KEY, account: str = ACCOUNT) -> Any:
        """Send a call as the account."""
        headers = {"wix_site_id": "", "wix_account_id": account}
        return self.call("POST", f"/site-list/v2/sites/{path}", body, key=key, **headers)

    def get(self, order: Order) -> Any:
        """Return the order, as getOrder answers it."""
        return self.call("GET", f"/ecom/v1/orders/{order.id}").json()["order"]

    def transactions(self, order: Order) -> Any:
        """Return the payments and refunds of the order."""
        path = f"/ecom/v1/payments/orders/{order.id}"
        return self.call("GET", path).json()["orderTransactions"]

    def bill(self, name: str, order: Order, **body: Any) -> httpx.Response:
        """Send a call of Order Billing."""
        return self.call("POST", f"{BILLING}/{name}", {"orderId": order.id} | body)

    def refund(self, order: Order, *amounts: str | None, **body: Any) -> httpx.Response:
        """Refund these amounts of the payments, in their order; with None the amount is omitted."""
        parts: list[dict[str, Any]] = []
        for payment, amount in zip(order.payments, amounts, strict=False):
            money = {} if amount is None else {"amount": {"amount": amount}}
            parts.append({"paymentId": payment.id} | money)
        return self.bill("refund-payments", order, **{"paymentRefunds": parts} | body)

    def refundability(self, order: Order) -> Any:
        """Return what can still be refunded."""
        return self.bill("get-order-refundability", order).json()

    def book(self, order: Order) -> Any:
        """Return the books of the order: what was really done to it."""
        return self.simulator.books()["orders"][order.id]


def code(response: httpx.Response) -> tuple[int, str]:
    """Return the status and the application code."""
    details = response.json()["details"]
    return response.status_code, details.get("applicationError", {}).get("code", "")


def found(response: httpx.Response) -> Any:
    """Return the data beside the application code."""
    return response.json()["details"]["applicationError"]["data"]


def violations(response: httpx.Response) -> list[tuple[str, str]]:
    """Return the field and the rule of each violation."""
    listed = response.json()["details"]["validationError"]["fieldViolations"]
    return [(one["field"], one["violatedRule"]) for one in listed]
