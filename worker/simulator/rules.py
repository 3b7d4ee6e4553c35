"""What Wix does on each call: one function per endpoint. Source: wix-api.md 2 and 6.7."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from worker.simulator import fulfillment_rules, order_rules, site_rules, transaction_rules
from worker.simulator.order_rules import Call
from worker.simulator.refund_rules import submit_refund
from worker.simulator.refundability import calculate_refund, get_order_refundability
from worker.simulator.refusals import Json
from worker.simulator.site_rules import Ask

#: The rule of each endpoint that is about one order ...
RULES: Mapping[str, Callable[[Call], Json]] = {
    "get_order": order_rules.get_order,
    "cancel_order": order_rules.cancel_order,
    "update_order": order_rules.update_order,
    "add_activities": order_rules.add_activities,
    "list_fulfillments": fulfillment_rules.list_fulfillments,
    "create_fulfillment": fulfillment_rules.create_fulfillment,
    "update_fulfillment": fulfillment_rules.update_fulfillment,
    "delete_fulfillment": fulfillment_rules.delete_fulfillment,
    "get_order_refundability": get_order_refundability,
    "calculate_refund": calculate_refund,
    "submit_refund": submit_refund,
    "list_transactions": transaction_rules.list_transactions,
    "void_payments": transaction_rules.void_payments,
    "capture_payments": transaction_rules.capture_payments,
    "update_payment_status": transaction_rules.update_payment_status,
}
#: ... and of the others.
WIDE_RULES: Mapping[str, Callable[[Ask], Json]] = {
    "search_orders": site_rules.search_orders,
    "list_fulfillments_of_orders": site_rules.list_fulfillments_of_orders,
    "list_transactions_of_orders": site_rules.list_transactions_of_orders,
    "bulk_create_fulfillments": site_rules.bulk_create_fulfillments,
    "query_sites": site_rules.query_sites,
    "count_sites": site_rules.count_sites,
    "get_site_properties": site_rules.get_site_properties,
    "list_currencies": site_rules.list_currencies,
    "get_catalog_version": site_rules.get_catalog_version,
}

__all__ = ["RULES", "WIDE_RULES", "Ask", "Call"]
