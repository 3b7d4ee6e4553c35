"""The rule of each endpoint. W21."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from worker.simulator.contract.refusals import Json
from worker.simulator.rules import fulfillments, orders, sites, transactions
from worker.simulator.rules.orders import Call
from worker.simulator.rules.refundability import calculate_refund, get_order_refundability
from worker.simulator.rules.refunds import submit_refund
from worker.simulator.rules.sites import WideCall

#: Endpoints that are about one order.
RULES: Mapping[str, Callable[[Call], Json]] = {
    "get_order": orders.get_order,
    "cancel_order": orders.cancel_order,
    "update_order": orders.update_order,
    "add_activities": orders.add_activities,
    "list_fulfillments": fulfillments.list_fulfillments,
    "create_fulfillment": fulfillments.create_fulfillment,
    "update_fulfillment": fulfillments.update_fulfillment,
    "delete_fulfillment": fulfillments.delete_fulfillment,
    "get_order_refundability": get_order_refundability,
    "calculate_refund": calculate_refund,
    "submit_refund": submit_refund,
    "list_transactions": transactions.list_transactions,
    "void_payments": transactions.void_payments,
    "capture_payments": transactions.capture_payments,
    "update_payment_status": transactions.update_payment_status,
}
#: Endpoints that are about a site, an account or several orders.
WIDE_RULES: Mapping[str, Callable[[WideCall], Json]] = {
    "search_orders": sites.search_orders,
    "list_fulfillments_of_orders": sites.list_fulfillments_of_orders,
    "list_transactions_of_orders": sites.list_transactions_of_orders,
    "bulk_create_fulfillments": sites.bulk_create_fulfillments,
    "query_sites": sites.query_sites,
    "count_sites": sites.count_sites,
    "get_site_properties": sites.get_site_properties,
    "list_currencies": sites.list_currencies,
    "get_catalog_version": sites.get_catalog_version,
}

__all__ = ["RULES", "WIDE_RULES", "Call", "WideCall"]
