"""The calls to Wix."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote

import httpx

from worker.errors import Unreadable
from worker.observability.tracing import WixCall
from worker.wix.billing import (
    RefundAnswer,
    Transactions,
    TransactionsAnswer,
    TransactionsOfOrders,
    VoidAnswer,
    WixRefund,
)
from worker.wix.calls import Calls, Channel
from worker.wix.changes import ChangedOrder, ChangedOrders, changed_since
from worker.wix.deadline import DeadlineTransport, tls_context
from worker.wix.exchange import OverHttpx, place_of
from worker.wix.models import (
    CancelAnswer,
    CancelledOrder,
    FoundOrders,
    FulfillmentsAnswer,
    FulfillmentsChanged,
    Order,
    OrderAnswer,
    OrderWithFulfillments,
)
from worker.wix.refundability import Calculation, Refundability
from worker.wix.sites import (
    NumberedOrder,
    NumberedOrders,
    OrdersFound,
    SiteProperties,
    SitePropertiesAnswer,
)
from worker.wix.tunnel import parse_proxy


class Way(NamedTuple):
    """How calls leave the network."""

    proxy: str | None = None
    """The address of an HTTP proxy; None for directly."""
    ca_file: Path | None = None
    """Certificates that are trusted as well."""

    def transport(self, total_ms: int) -> DeadlineTransport:
        """Return what sends the calls."""
        proxy = parse_proxy(self.proxy) if self.proxy else None
        tls = tls_context(self.ca_file) if self.ca_file else None
        return DeadlineTransport(total_ms, proxy=proxy, tls=tls)


#: Not through a proxy.
DIRECT = Way()

#: Sends a request to Wix and returns its answer.
Transport = httpx.BaseTransport | DeadlineTransport


def forbid_mutation() -> None:
    """Refuse a mutating call: for a client that only reads."""
    raise AssertionError("this client only reads")


class ClientFactory:
    """Creates clients of stores, which share connections but nothing of their calls."""

    def __init__(
        self,
        base_url: str,
        *,
        connect_timeout_ms: int,
        read_timeout_ms: int,
        total_timeout_ms: int,
        transport: Callable[[], Transport] | None = None,
        seen: Callable[[WixCall], None] = lambda _call: None,
        way: Way = DIRECT,
    ) -> None:
        self._base_url = base_url
        self._seen = seen
        self._total_ms = total_timeout_ms
        self._timeouts_s = {
            "connect": connect_timeout_ms / 1000,
            "read": read_timeout_ms / 1000,
            "write": read_timeout_ms / 1000,
            "pool": connect_timeout_ms / 1000,
        }
        self._transport = transport
        self._way = way

    @property
    def address(self) -> str:
        """Wix's base URL."""
        return self._base_url

    def store(
        self,
        site_id: str,
        api_key: str,
        *,
        before_mutation: Callable[[], None],
        consistent: str = "",
    ) -> WixStore:
        """Return the client of one store for one step.

        *before_mutation* may raise to forbid a call. *consistent* is the previous step's token, W2.
        """
        store = WixStore(self.channel, api_key, {"wix-site-id": site_id}, before_mutation)
        store.consistent = consistent
        return store

    def reader(self, site_id: str, api_key: str) -> WixStore:
        """Return the client of one store that only reads."""
        return self.store(site_id, api_key, before_mutation=forbid_mutation)

    @cached_property
    def channel(self) -> Channel:
        """How calls get to Wix; all threads share it."""
        made = self._transport() if self._transport else self._way.transport(self._total_ms)
        ways = made if isinstance(made, DeadlineTransport) else OverHttpx(made)
        place = place_of(self._base_url, self._timeouts_s, self._total_ms / 1000)
        return Channel(ways, place, self._seen)

    def close(self) -> None:
        """Close the idle connections."""
        self.channel.ways.close()


class WixStore(Calls):
    """Wix as one store sees it.

    Each call raises Retryable, EffectUnknown, Permanent or Unauthorized (see `worker.errors`).
    """

    def silent(self) -> WixStore:
        """Return a client of the same step that makes no call."""
        # Not copy(), which takes much longer.
        made = object.__new__(type(self))
        vars(made).update(vars(self))
        made.calls, made.request_id, made.throttled, made.may_call = 0, None, None, False
        return made

    def get_order(self, order_id: str) -> Order:
        """Read one order. W20."""
        return self._call(
            "get_order", "GET", f"/ecom/v1/orders/{_part(order_id)}", OrderAnswer
        ).order

    def cancel_order(self, order_id: str, *, restock: bool, notify_buyer: bool) -> CancelledOrder:
        """Cancel an order. This cannot be undone and moves no money. W30."""
        return self._call(
            "cancel_order",
            "POST",
            f"/ecom/v1/orders/{_part(order_id)}/cancel",
            CancelAnswer,
            {"restockAllItems": restock, "sendOrderCanceledEmail": notify_buyer},
            mutates=True,
        ).order

    def list_fulfillments(self, order_id: str) -> OrderWithFulfillments:
        """List the fulfillments of an order. W40."""
        path = f"/ecom/v1/fulfillments/orders/{_part(order_id)}"
        answer = self._call("list_fulfillments", "GET", path, FulfillmentsAnswer)
        return answer.order_with_fulfillments

    def delete_fulfillment(self, order_id: str, fulfillment_id: str) -> FulfillmentsChanged:
        """Delete one fulfillment. The answer lists those that are left. W40."""
        path = f"/ecom/v1/fulfillments/{_part(fulfillment_id)}/orders/{_part(order_id)}"
        return self._call("delete_fulfillment", "DELETE", path, FulfillmentsChanged, mutates=True)

    def get_order_refundability(self, order_id: str) -> Refundability:
        """Ask which payments can be refunded, and how much. W60."""
        path = "/ecom/v1/order-billing/get-order-refundability"
        return self._call(
            "get_order_refundability", "POST", path, Refundability, {"orderId": order_id}
        )

    def create_fulfillment(self, order_id: str, fulfillment: Mapping[str, Any]) -> None:
        """Create a fulfillment. It gets a new id; Wix may e-mail the buyer. W44."""
        path = f"/ecom/v1/fulfillments/orders/{_part(order_id)}/create-fulfillment"
        body = {"fulfillment": dict(fulfillment)}
        self._call("create_fulfillment", "POST", path, FulfillmentsChanged, body, mutates=True)

    def calculate_refund(self, order_id: str, items: Mapping[str, Any]) -> Calculation:
        """Ask for the total of lines, fees and shipping; changes nothing. W62."""
        path = "/ecom/v1/order-billing/calculate-refund"
        body = {"orderId": order_id, "refundItems": dict(items)}
        return self._call("calculate_refund", "POST", path, Calculation, body)

    def submit_refund(self, order_id: str, asked: Mapping[str, Any]) -> WixRefund:
        """Refund payments. Success does not mean that money has moved. W53, W63."""
        path = "/ecom/v1/order-billing/refund-payments"
        body = {"orderId": order_id, **asked}
        return self._call("submit_refund", "POST", path, RefundAnswer, body, mutates=True).refund

    def void_payments(self, order_id: str, payment_ids: Sequence[str]) -> None:
        """Void authorized payments. Wix shows them as voided later. W75."""
        path = "/ecom/v1/order-billing/void-authorized-payments"
        body = {"orderId": order_id, "paymentIds": list(payment_ids)}
        self._call("void_payments", "POST", path, VoidAnswer, body, mutates=True)

    def search_orders(self) -> list[str]:
        """Return the id of one order, if there is any. W22."""
        body = {"search": {"cursorPaging": {"limit": 1}}}
        found = self._call("search_orders", "POST", "/ecom/v1/orders/search", OrdersFound, body)
        return [order.id for order in found.orders]

    def find_by_number(self, number: str) -> tuple[NumberedOrder, ...]:
        """Search for orders by their number; an index that may lag. W22."""
        wanted = {"filter": {"number": {"$eq": number}}, "cursorPaging": {"limit": 100}}
        path, body = "/ecom/v1/orders/search", {"search": wanted}
        return self._call("search_orders", "POST", path, NumberedOrders, body).orders

    def find_orders(self, order_ids: Sequence[str]) -> dict[str, Order]:
        """Search for orders by their ids; an index that may lag, or lack some. W22."""
        wanted = {"filter": {"id": {"$in": list(order_ids)}}}
        body = {"search": wanted | {"cursorPaging": {"limit": len(order_ids)}}}
        found = self._call("search_orders", "POST", "/ecom/v1/orders/search", FoundOrders, body)
        return {order.id: order for order in found.orders if order}

    def find_changed(self, since_ms: int, limit: int) -> list[ChangedOrder]:
        """Search for orders that changed at or after a moment, the oldest change first. W27.

        Returns *limit* of them if there are more; all that changed at that moment.

        Raises:
            Unreadable: they are not in this order.
        """
        found = self._changed(changed_since(since_ms) | {"cursorPaging": {"limit": limit}})
        orders = list(found.orders)
        while len(orders) % limit == 0 and orders and orders[-1].updated_ms <= since_ms:
            if not found.next_page:
                break
            paging = {"limit": limit, "cursor": found.next_page}
            found = self._changed({"cursorPaging": paging})
            orders += found.orders
        dates = [order.updated_date for order in orders]
        if dates != sorted(dates):
            raise Unreadable("search_orders", status=200, detail="the orders are not sorted")
        return orders

    def find_again(self, order_ids: Sequence[str]) -> tuple[ChangedOrder, ...]:
        """Search for orders by their ids, with what a search for changes shows. W22."""
        wanted = {"filter": {"id": {"$in": list(order_ids)}}}
        return self._changed(wanted | {"cursorPaging": {"limit": len(order_ids)}}).orders

    def _changed(self, search: Mapping[str, Any]) -> ChangedOrders:
        path, body = "/ecom/v1/orders/search", {"search": search}
        return self._call("search_orders", "POST", path, ChangedOrders, body)

    def get_site_properties(self) -> SiteProperties:
        """Return name, currency and time zone of the site. W81."""
        path = "/site-properties/v4/properties"
        asked = "fields.paths=paymentCurrency&fields.paths=siteDisplayName&fields.paths=timeZone"
        return self._call(
            "get_site_properties", "GET", f"{path}?{asked}", SitePropertiesAnswer
        ).properties

    def list_transactions(self, order_id: str) -> Transactions:
        """Return the payments and refunds of an order. W52."""
        path = f"/ecom/v1/payments/orders/{_part(order_id)}"
        return self._call("list_transactions", "GET", path, TransactionsAnswer).order_transactions

    def list_transactions_of_orders(self, order_ids: Sequence[str]) -> dict[str, Transactions]:
        """Return the payments and refunds of several orders; some may be missing. W54."""
        path, body = "/ecom/v1/payments/list-by-ids", {"orderIds": list(order_ids)}
        answer = self._call("list_transactions_of_orders", "POST", path, TransactionsOfOrders, body)
        return {one.order_id: one for one in answer.order_transactions if one}


def _part(text: str) -> str:
    """Quote an id for use in a path."""
    return quote(text, safe="")
