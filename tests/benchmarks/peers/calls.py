"""The calls to Wix of one standard refund, as every peer makes them: by httpx, none of our code.

They are grouped as in our flow: assess, submit, confirm. Each step is a task or message of its own.
"""

from __future__ import annotations

import os
import threading
from typing import Any

import httpx

REDIS_URL = os.environ.get("BENCH_REDIS_URL", "redis://127.0.0.1:6379/0")
WIX_URL = os.environ.get("BENCH_WIX_URL", "http://127.0.0.1:8080")
#: The steps of a refund and their calls; with 4 calls there is nothing to confirm.
CALLS = int(os.environ.get("BENCH_CALLS", "5"))
STEPS: dict[str, tuple[str, ...]] = {
    "assess": ("get_order",),
    "submit": ("list_transactions", "get_refundability", "refund")[: CALLS - 1],
    "confirm": ("list_transactions",)[: max(0, CALLS - 4)],
}
HEADERS = {"Authorization": "IST.bench", "wix-site-id": "4b296c48-0000-4000-8000-000000000001"}
BILLING = "/ecom/v1/order-billing"


def request_of(call: str, order_id: str) -> dict[str, Any]:
    """Return method, path and body of a call, as arguments of httpx."""
    if call == "get_order":
        return {"method": "GET", "url": f"/ecom/v1/orders/{order_id}"}
    if call == "list_transactions":
        return {"method": "GET", "url": f"/ecom/v1/payments/orders/{order_id}"}
    if call == "get_refundability":
        url, body = f"{BILLING}/get-order-refundability", {"orderId": order_id}
        return {"method": "POST", "url": url, "json": body}
    paid = {"paymentId": f"pay-{order_id}", "amount": {"amount": "101.40"}}
    asked = {"orderId": order_id, "paymentRefunds": [paid], "customerReason": order_id}
    return {"method": "POST", "url": f"{BILLING}/refund-payments", "json": asked}


_local = threading.local()


def make_calls(step: str, order_id: str) -> None:
    """Make the calls of a step; each thread has a client of its own, which is the fastest."""
    client: httpx.Client | None = getattr(_local, "client", None)
    if client is None:
        client = httpx.Client(base_url=WIX_URL, headers=HEADERS, trust_env=False)
        _local.client = client
    for call in STEPS[step]:
        client.request(**request_of(call, order_id)).raise_for_status().json()


async def make_calls_async(client: httpx.AsyncClient, step: str, order_id: str) -> None:
    """Make the calls of a step."""
    for call in STEPS[step]:
        response = await client.request(**request_of(call, order_id))
        response.raise_for_status().json()


def async_client() -> httpx.AsyncClient:
    """Return a client for all tasks of a process."""
    return httpx.AsyncClient(base_url=WIX_URL, headers=HEADERS, trust_env=False)


def order_id(series: int, number: int) -> str:
    """Return the id of an order; series keep the orders of a run apart."""
    return f"{series:08x}-0000-4000-8000-{number:012x}"


def order_ids(arguments: list[str]) -> list[str]:
    """Return the orders that a program was asked to send: `SERIES COUNT`."""
    series, count = map(int, arguments)
    return [order_id(series, number) for number in range(count)]
