"""What Wix answers about sites and about many orders. W21, W22, W80 to W83."""

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


class Ask(NamedTuple):
    """What a rule may look at: the site, its orders, and the sites that the key may see."""

    store: Store | None
    orders: Mapping[str, Order]
    sites: list[Store]
    body: Mapping[str, Any]
    query: Mapping[str, list[str]]
    flags: Flags
    now_ms: int
    indexed: Callable[[Order], Order]
    """The order as the search index knows it."""


#: What orders can be searched by. W22.
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
#: What sites can be searched by. W80.
_SITE_FIELDS = frozenset(
    {
        *("id", "name", "displayName", "namespace", "published", "premium"),
        *("editorType", "domainConnected", "createdDate"),
    }
)


def search_orders(ask: Ask) -> Json:
    """INITIALIZED orders are never found (documented)."""
    shown = (order_wire(ask.indexed(order), ask.now_ms) for order in ask.orders.values())
    found = [order for order in shown if order["status"] != "INITIALIZED"]
    orders, metadata = page(
        found, ask.body.get("search") or {}, _ORDER_FIELDS, newest="createdDate"
    )
    return {"orders": orders, "metadata": metadata}


def _asked(ask: Ask) -> list[Order]:
    return [ask.orders[i] for i in ask.body["orderIds"] if i in ask.orders]


def list_fulfillments_of_orders(ask: Ask) -> Json:
    """Row 8."""
    return {"ordersWithFulfillments": [fulfillments_wire(order) for order in _asked(ask)]}


def list_transactions_of_orders(ask: Ask) -> Json:
    """Row 19."""
    return {"orderTransactions": [transactions_wire(order) for order in _asked(ask)]}


def bulk_create_fulfillments(ask: Ask) -> Json:
    """Each order by itself; what fails is said in the 200 body (documented)."""
    results = [
        _created(ask, number, wanted)
        for number, wanted in enumerate(ask.body["ordersWithFulfillments"])
    ]
    done = sum(result["itemMetadata"]["success"] for result in results)
    counts = {"totalSuccesses": done, "totalFailures": len(results) - done}
    return {"results": results, "bulkActionMetadata": counts | {"undetailedFailures": 0}}


def _created(ask: Ask, number: int, wanted: Json) -> Json:
    metadata: Json = {"id": wanted["orderId"], "originalIndex": number}
    order = ask.orders.get(wanted["orderId"])
    try:
        for fulfillment in wanted.get("fulfillments") or []:
            add_fulfillment(_there(order), fulfillment, ask.flags, ask.now_ms)
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
    """Who does not ask for a namespace sees WIX sites only (documented)."""
    return {"namespace": "WIX", **(wanted or {})}


def query_sites(ask: Ask) -> Json:
    """2.24."""
    query = dict(ask.body.get("query") or {})
    query["filter"] = _within(query.get("filter"))
    seen = [site.wire() for site in ask.sites]
    sites, metadata = page(seen, query, _SITE_FIELDS, newest="createdDate")
    return {"sites": sites, "metadata": metadata}


def count_sites(ask: Ask) -> Json:
    """Row 25."""
    wanted = _within(ask.body.get("filter"))
    return {"count": sum(matches(site.wire(), wanted, _SITE_FIELDS) for site in ask.sites)}


def _site(ask: Ask) -> Store:
    if ask.store is None:
        raise Refusal(404, "META_SITE_NOT_FOUND")
    return ask.store


def get_site_properties(ask: Ask) -> Json:
    """2.26: all of them, or those that `fields.paths` (documented) or `fields` (the SDK) names."""
    properties = _site(ask).properties()
    in_one = (path for text in ask.query.get("fields", ()) for path in text.split(","))
    paths = [*ask.query.get("fields.paths", ()), *in_one]
    named = {path: properties[path] for path in paths if path in properties}
    return {"version": "207", "properties": named if paths else properties}


def list_currencies(ask: Ask) -> Json:
    """Only premium sites may, as the Velo documents say (documented)."""
    store = _site(ask)
    if ask.flags.currencies_need_premium and not store.premium:
        raise Refusal(403, "PERMISSION_DENIED")
    codes = store.currencies
    return {"currencies": [{"code": code, "symbol": _symbol(code)} for code in codes]}


def _symbol(code: str) -> str:
    text: str = money(Decimal(0), code)["formattedAmount"]
    return text.rstrip("0.").strip()


def get_catalog_version(ask: Ask) -> Json:
    """2.28."""
    return {"catalogVersion": _site(ask).catalog_version}
