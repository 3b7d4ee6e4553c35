"""The calls to Wix. One `httpx.Client` per thread: a shared pool costs more the bigger it gets."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar
from urllib.parse import quote

import httpx
from pydantic import BaseModel, ValidationError

from worker.errors import OutcomeUnknown, Retryable, Unreadable
from worker.wix.billing import (
    Calculation,
    Refundability,
    RefundAnswer,
    Transactions,
    TransactionsAnswer,
    WixRefund,
)
from worker.wix.errors import error_from, parse_body, request_id
from worker.wix.models import FulfillmentsAnswer, Order, OrderAnswer, OrderWithFulfillments

Model = TypeVar("Model", bound=BaseModel)

#: An answer is read up to here; Wix's are far smaller.
MAX_BODY_BYTES = 5_000_000


class ClientFactory:
    """Makes the client of one store, on the calling thread's own connections."""

    def __init__(
        self,
        base_url: str,
        *,
        connect_timeout_ms: int,
        read_timeout_ms: int,
        total_timeout_ms: int,
        transport: Callable[[], httpx.BaseTransport] | None = None,
    ) -> None:
        self._base_url = base_url
        self._total_s = total_timeout_ms / 1000
        self._timeout = httpx.Timeout(
            connect=connect_timeout_ms / 1000,
            read=read_timeout_ms / 1000,
            write=read_timeout_ms / 1000,
            pool=connect_timeout_ms / 1000,
        )
        self._transport = transport
        self._local = threading.local()

    def store(
        self,
        site_id: str,
        api_key: str,
        *,
        before_mutation: Callable[[], None],
        consistent: str = "",
    ) -> WixStore:
        """The client of one store for one step.

        *before_mutation* may raise to forbid a call; *consistent* is the token of the step before.
        """
        client: httpx.Client | None = getattr(self._local, "client", None)
        if client is None:
            client = self._local.client = httpx.Client(
                base_url=self._base_url,
                timeout=self._timeout,
                transport=self._transport() if self._transport else None,
                # Proxies and certificates are not taken from the environment by accident.
                trust_env=False,
                follow_redirects=False,
            )
        store = WixStore(client, self._total_s, site_id, api_key, before_mutation)
        store.consistent = consistent
        return store


class WixStore:
    """Wix as one store sees it.

    Every call raises Retryable, OutcomeUnknown, Permanent or Unauthorized (see `worker.errors`).
    `calls` counts them; `request_id` is the last one's; `consistent` is echoed to Wix, so that we
    read what we wrote. Source: wix-api.md 1 [D by SDK code].
    """

    def __init__(
        self,
        client: httpx.Client,
        total_s: float,
        site_id: str,
        api_key: str,
        before_mutation: Callable[[], None],
    ) -> None:
        self._client = client
        self._total_s = total_s
        self._headers = {
            "Authorization": api_key,
            "wix-site-id": site_id,
            "Accept": "application/json",
        }
        self._before_mutation = before_mutation
        self.calls = 0
        self.sent = 0
        """Mutating calls that left, whatever came back."""
        self.request_id: str | None = None
        self.consistent = ""

    def get_order(self, order_id: str) -> Order:
        """Read one order. Source: row 1 [D]."""
        return self._call(
            "get_order", "GET", f"/ecom/v1/orders/{_part(order_id)}", OrderAnswer
        ).order

    def cancel_order(self, order_id: str, *, restock: bool, notify_buyer: bool) -> Order:
        """Cancel for good; moves no money. Source: 2.3 [D]."""
        return self._call(
            "cancel_order",
            "POST",
            f"/ecom/v1/orders/{_part(order_id)}/cancel",
            OrderAnswer,
            {"restockAllItems": restock, "sendOrderCanceledEmail": notify_buyer},
            mutates=True,
        ).order

    def list_fulfillments(self, order_id: str) -> OrderWithFulfillments:
        """Read all fulfillments of an order. Source: row 7 [D]."""
        path = f"/ecom/v1/fulfillments/orders/{_part(order_id)}"
        answer = self._call("list_fulfillments", "GET", path, FulfillmentsAnswer)
        return answer.order_with_fulfillments

    def delete_fulfillment(self, order_id: str, fulfillment_id: str) -> OrderWithFulfillments:
        """Delete one; answers what is left. Source: row 11 [D]."""
        path = f"/ecom/v1/fulfillments/{_part(fulfillment_id)}/orders/{_part(order_id)}"
        answer = self._call("delete_fulfillment", "DELETE", path, FulfillmentsAnswer, mutates=True)
        return answer.order_with_fulfillments

    def get_order_refundability(self, order_id: str) -> Refundability:
        """Ask what can be refunded, payment by payment. Source: 2.13 [D]."""
        path = "/ecom/v1/order-billing/get-order-refundability"
        return self._call(
            "get_order_refundability", "POST", path, Refundability, {"orderId": order_id}
        )

    def create_fulfillment(
        self, order_id: str, fulfillment: Mapping[str, Any]
    ) -> OrderWithFulfillments:
        """Fulfil again what was unfulfilled; gets a new id, may e-mail. Source: row 9 [D]."""
        path = f"/ecom/v1/fulfillments/orders/{_part(order_id)}/create-fulfillment"
        body = {"fulfillment": dict(fulfillment)}
        answer = self._call(
            "create_fulfillment", "POST", path, FulfillmentsAnswer, body, mutates=True
        )
        return answer.order_with_fulfillments

    def calculate_refund(self, order_id: str, items: Mapping[str, Any]) -> Calculation:
        """Ask what lines, fees and shipping come to; changes nothing. Source: 2.14 [D]."""
        path = "/ecom/v1/order-billing/calculate-refund"
        body = {"orderId": order_id, "refundItems": dict(items)}
        return self._call("calculate_refund", "POST", path, Calculation, body)

    def submit_refund(self, order_id: str, asked: Mapping[str, Any]) -> WixRefund:
        """Refund payments, as `worker.asking` words it. 200 does not move money. 2.15 [D]."""
        path = "/ecom/v1/order-billing/refund-payments"
        body = {"orderId": order_id, **asked}
        return self._call("submit_refund", "POST", path, RefundAnswer, body, mutates=True).refund

    def void_payments(self, order_id: str, payment_ids: Sequence[str]) -> Transactions:
        """Void authorized payments; they show as voided only later. Source: 2.16 [D]."""
        path = "/ecom/v1/order-billing/void-authorized-payments"
        body = {"orderId": order_id, "paymentIds": list(payment_ids)}
        answer = self._call("void_payments", "POST", path, TransactionsAnswer, body, mutates=True)
        return answer.order_transactions

    def list_transactions(self, order_id: str) -> Transactions:
        """Read payments and refunds of an order. Source: row 18 [D]."""
        path = f"/ecom/v1/payments/orders/{_part(order_id)}"
        return self._call("list_transactions", "GET", path, TransactionsAnswer).order_transactions

    def _call(
        self,
        endpoint: str,
        method: str,
        path: str,
        model: type[Model],
        body: Mapping[str, Any] | None = None,
        *,
        mutates: bool = False,
    ) -> Model:
        if mutates:
            self._before_mutation()
        unclear = OutcomeUnknown if mutates else Retryable
        response = self._send(endpoint, method, path, body, mutates=mutates)
        self.request_id = request_id(response)
        self.consistent = response.headers.get("x-wix-consistent") or self.consistent
        if response.status_code != 200:
            raise error_from(endpoint, response, mutates=mutates)
        answer = parse_body(response)
        try:
            return model.model_validate(answer)
        except ValidationError as error:
            said = "no JSON object" if answer is None else _fields(error)
            unreadable = Unreadable if answer is not None and not mutates else unclear
            raise unreadable(
                endpoint,
                status=200,
                request_id=self.request_id,
                detail=f"the answer is not as documented: {said}",
            ) from None

    def _send(
        self,
        endpoint: str,
        method: str,
        path: str,
        body: Mapping[str, Any] | None,
        *,
        mutates: bool,
    ) -> httpx.Response:
        headers = dict(self._headers)
        if self.consistent:
            headers["X-Wix-Consistent"] = self.consistent
        unclear = OutcomeUnknown if mutates else Retryable
        self.calls += 1
        try:
            response = self._within_total(method, path, body, headers)
        except (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout) as error:
            # Nothing left this machine: the call did not happen.
            raise Retryable(endpoint, detail=type(error).__name__) from None
        except httpx.HTTPError as error:
            self.sent += mutates
            raise unclear(endpoint, detail=type(error).__name__) from None
        self.sent += mutates
        return response

    def _within_total(
        self, method: str, path: str, body: Mapping[str, Any] | None, headers: Mapping[str, str]
    ) -> httpx.Response:
        """Read the answer; a server that trickles is cut off after the total time."""
        until = time.monotonic() + self._total_s
        with self._client.stream(method, path, json=body, headers=headers) as response:
            content = bytearray()
            for chunk in response.iter_bytes():
                content += chunk
                if time.monotonic() > until or len(content) > MAX_BODY_BYTES:
                    raise httpx.ReadTimeout("the answer took longer than the total timeout")
        return httpx.Response(
            response.status_code,
            headers=[(k, v) for k, v in response.headers.items() if k in _KEPT_HEADERS],
            content=bytes(content),
        )


_KEPT_HEADERS = {"x-wix-request-id", "x-wix-consistent", "retry-after", "content-type"}


def _part(text: str) -> str:
    """An id as a path segment."""
    return quote(text, safe="")


def _fields(error: ValidationError) -> str:
    places = (".".join(str(part) for part in problem["loc"]) for problem in error.errors())
    return ", ".join(sorted(set(places)))[:200]
