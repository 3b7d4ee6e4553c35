"""Calls about sites, or about several orders. W21, W22, W80 to W83."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any, NamedTuple

from worker.simulator.contract.queries import matches, page
from worker.simulator.contract.refusals import Json, Refusal
from worker.simulator.rules.fulfillments import add_fulfillment
from worker.simulator.script.flags import Flags
from worker.simulator.world.money import money
from worker.simulator.world.orders import Order
from worker.simulator.world.stores import Store
from worker.simulator.world.views import fulfillments_wire, order_wire, transactions_wire


class WideCall(NamedTuple):
    """A call about a site, an account or several orders; *sites* are those that the key may see."""

    store: Store | None
    orders: Mapping[str, Order]
    sites: list[Store]
    body: Mapping[str, Any]
    query: Mapping[str, list[str]]
    flags: Flags
    now_ms: int
    indexed: Callable[[Order], Order]
    """Returns an order as the search index has it."""


#: Fields by which orders can be searched. W22.
_ORDER_FIELDS = frozenset(
    {
        *("id", "number", "status", "paymentStatus", "fulfillmentStatus", "archived", "imported"),
        *("createdDate", "updatedDate", "purchasedDate", "checkoutId"),
        *("channelInfo.type", "channelInfo.externalOrderId", "priceSummary.total.amount"),
        *("buyerInfo.contactId", "buyerInfo.memberId", "buyerInfo.email"),
        *("balanceSummary.balance.amount", "balanceSummary.paid.amount"),
        "balanceSummary.refunded.amount",
    }
)
#: Fields by which sites can be searched. W80.
_SITE_FIELDS = frozenset(
    {
        *("id", "name", "displayName", "namespace", "published", "premium"),
        *("editorType", "domainConnected", "createdDate"),
    }
)


def search_orders(call: WideCall) -> Json:
    """Search orders; those that are INITIALIZED are never found. W22."""
    shown = (order_wire(call.indexed(order), call.now_ms) for order in call.orders.values())
    omits = call.flags.search_omits
    found = [
        order
        for order in shown
        if order["status"] != "INITIALIZED"
        and not (omits == "archived" and order["archived"])
        and not (omits == "canceled" and order["status"] == "CANCELED")
    ]
    search = call.body.get("search") or {}
    if "number" in (search.get("filter") or {}) and call.flags.number_filter != "exact":
        if call.flags.number_filter == "400":
            raise Refusal(400, "INVALID_FILTER")
        search = {**search, "filter": {}}
    orders, metadata = page(found, search, _ORDER_FIELDS, newest="createdDate")
    return {"orders": orders, "metadata": metadata}


def _asked(call: WideCall) -> list[Order]:
    known = [call.orders[i] for i in call.body["orderIds"] if i in call.orders]
    return known[: call.flags.orders_per_list]


def list_fulfillments_of_orders(call: WideCall) -> Json:
    """Return the fulfillments of several orders."""
    return {"ordersWithFulfillments": [fulfillments_wire(order) for order in _asked(call)]}


def list_transactions_of_orders(call: WideCall) -> Json:
    """Return the transactions of several orders."""
    return {"orderTransactions": [transactions_wire(order) for order in _asked(call)]}


def bulk_create_fulfillments(call: WideCall) -> Json:
    """Fulfill several orders; an order that fails does not stop the others (documented)."""
    results = [
        _created(call, number, wanted)
        for number, wanted in enumerate(call.body["ordersWithFulfillments"])
    ]
    done = sum(result["itemMetadata"]["success"] for result in results)
    counts = {"totalSuccesses": done, "totalFailures": len(results) - done}
    return {"results": results, "bulkActionMetadata": counts | {"undetailedFailures": 0}}


def _created(call: WideCall, number: int, wanted: Json) -> Json:
    metadata: Json = {"id": wanted["orderId"], "originalIndex": number}
    order = call.orders.get(wanted["orderId"])
    try:
        for fulfillment in wanted.get("fulfillments") or []:
            add_fulfillment(_there(order), fulfillment, call.flags, call.now_ms)
        shown = fulfillments_wire(_there(order))
    except Refusal as refusal:
        error = {"code": refusal.code, "description": "", "data": refusal.data}
        return {"itemMetadata": metadata | {"success": False, "error": error}}
    _there(order).effects.append("bulk_create_fulfillments")
    return {"itemMetadata": metadata | {"success": True}, "ordersWithFulfillments": shown}


def _there(order: Order | None) -> Order:
    if order is None:
        raise Refusal(404, "ORDER_NOT_FOUND")
    return order


def _within(wanted: Mapping[str, Any] | None) -> Json:
    """Add the default filter: sites of the namespace WIX only. W80."""
    return {"namespace": "WIX", **(wanted or {})}


def query_sites(call: WideCall) -> Json:
    """Return a page of the account's sites. W80."""
    query = dict(call.body.get("query") or {})
    query["filter"] = _within(query.get("filter"))
    seen = [site.wire() for site in call.sites]
    sites, metadata = page(seen, query, _SITE_FIELDS, newest="createdDate")
    return {"sites": sites, "metadata": metadata}


def count_sites(call: WideCall) -> Json:
    """Count the account's sites. W80."""
    wanted = _within(call.body.get("filter"))
    return {"count": sum(matches(site.wire(), wanted, _SITE_FIELDS) for site in call.sites)}


def _site(call: WideCall) -> Store:
    if call.store is None:
        raise Refusal(404, "META_SITE_NOT_FOUND")
    return call.store


def get_site_properties(call: WideCall) -> Json:
    """Return properties of the site: all, or those in `fields.paths` (documented) or `fields`."""
    properties = _site(call).properties()
    in_one = (path for text in call.query.get("fields", ()) for path in text.split(","))
    paths = [*call.query.get("fields.paths", ()), *in_one]
    named = {path: properties[path] for path in paths if path in properties}
    return {"version": "207", "properties": named if paths else properties}


def list_currencies(call: WideCall) -> Json:
    """Return the site's currencies; only Premium sites may list them. W82."""
    store = _site(call)
    if call.flags.currencies_need_premium and not store.premium:
        raise Refusal(403, "PERMISSION_DENIED")
    codes = store.currencies
    return {"currencies": [{"code": code, "symbol": _symbol(code)} for code in codes]}


def _symbol(code: str) -> str:
    text: str = money(Decimal(0), code)["formattedAmount"]
    return text.rstrip("0.").strip()


def get_catalog_version(call: WideCall) -> Json:
    """Return the version of the site's catalog. W83."""
    return {"catalogVersion": _site(call).catalog_version}
