"""Wix's public endpoints. W21."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

#: The five permission boxes of an API key, and billing, which "Wix Stores" may or may not include.
SITES_LIST, MANAGE_SITES = "Get Sites List", "Manage Sites"
STORES, CURRENCIES, BUSINESS_INFO = "Wix Stores", "Wix Currencies", "Business Info"
BILLING = "Order Billing"
ALL_SCOPES = frozenset({SITES_LIST, MANAGE_SITES, STORES, CURRENCIES, BUSINESS_INFO, BILLING})


@dataclass(frozen=True)
class Route:
    """One endpoint; it has the same name as the method of the worker's client."""

    endpoint: str
    verb: str
    path: re.Pattern[str]
    scope: str

    @property
    def is_account(self) -> bool:
        """Whether the call has the header of an account instead of that of a site."""
        return self.scope == SITES_LIST


_ORDERS, _FULFILLMENTS, _PAYMENTS = "/ecom/v1/orders", "/ecom/v1/fulfillments", "/ecom/v1/payments"
_BILLING, _STATUS = "/ecom/v1/order-billing", "update-payment-transaction-status"
_TABLE = f"""
get_order                    GET    {_ORDERS}/ORDER
search_orders                POST   {_ORDERS}/search
cancel_order                 POST   {_ORDERS}/ORDER/cancel
update_order                 PATCH  {_ORDERS}/ORDER
add_activities               POST   {_ORDERS}/ORDER/activities/add
list_fulfillments            GET    {_FULFILLMENTS}/orders/ORDER
list_fulfillments_of_orders  POST   {_FULFILLMENTS}/list-by-ids
create_fulfillment           POST   {_FULFILLMENTS}/orders/ORDER/create-fulfillment
bulk_create_fulfillments     POST   {_FULFILLMENTS}/orders/bulk/create-fulfillments
update_fulfillment           PATCH  {_FULFILLMENTS}/FULFILLMENT/orders/ORDER
delete_fulfillment           DELETE {_FULFILLMENTS}/FULFILLMENT/orders/ORDER
get_order_refundability      POST   {_BILLING}/get-order-refundability
calculate_refund             POST   {_BILLING}/calculate-refund
submit_refund                POST   {_BILLING}/refund-payments
void_payments     POST   {_BILLING}/void-authorized-payments
capture_payments  POST   {_BILLING}/capture-authorized-payments
list_transactions            GET    {_PAYMENTS}/orders/ORDER
list_transactions_of_orders  POST   {_PAYMENTS}/list-by-ids
update_payment_status        POST   {_PAYMENTS}/PAYMENT/orders/ORDER/{_STATUS}
query_sites                  POST   /site-list/v2/sites/query
count_sites                  POST   /site-list/v2/sites/count
get_site_properties          GET    /site-properties/v4/properties
list_currencies              GET    /currency_converter/v1/currencies
get_catalog_version          GET    /stores/v3/provision/version
"""
#: The box that a key needs, by the prefix of the path; the first match counts.
_SCOPES: Mapping[str, str] = {
    _BILLING: BILLING,
    "/site-list": SITES_LIST,
    "/site-properties": BUSINESS_INFO,
    "/currency_converter": CURRENCIES,
    "/": STORES,
}


def _route(line: str) -> Route:
    endpoint, verb, path = line.split()
    scope = next(scope for prefix, scope in _SCOPES.items() if path.startswith(prefix))
    pattern = re.sub(r"[A-Z]{3,}", lambda m: f"(?P<{m[0].lower()}_id>[^/]+)", path)
    return Route(endpoint, verb, re.compile(pattern), scope)


ROUTES = tuple(_route(line) for line in _TABLE.strip().splitlines())
#: Calls that change something at Wix.
MUTATING = frozenset(
    {
        "cancel_order",
        "update_order",
        "add_activities",
        "create_fulfillment",
        "update_fulfillment",
        "delete_fulfillment",
        "bulk_create_fulfillments",
        "submit_refund",
        "void_payments",
        "capture_payments",
        "update_payment_status",
    }
)


def find(verb: str, path: str) -> tuple[Route, dict[str, str]] | None:
    """Return the endpoint of a request and the ids in its path, None if there is none."""
    for route in ROUTES:
        match = route.path.fullmatch(path)
        if match and route.verb == verb:
            return route, match.groupdict()
    return None
