"""The books: what was really done to each order, as JSON."""

from __future__ import annotations

import copy
from collections import Counter
from collections.abc import Iterable

from worker.simulator.contract.refusals import Json
from worker.simulator.contract.routes import MUTATING
from worker.simulator.world.money import total
from worker.simulator.world.orders import Order


def order_book(order: Order, calls: Iterable[Json]) -> Json:
    """Return the state of one order, and what was done to it."""
    return {
        "status": order.status,
        "fulfillment_status": order.fulfillment_status,
        "payment_status": order.payment_status,
        "archived": order.archived,
        "currency": order.currency,
        "cancellations": order.cancellations,
        "paid": str(order.paid),
        "refunded": str(total(order.refunded(p.id) for p in order.payments)),
        "refund_pending": str(total(order.pending(p.id) for p in order.payments)),
        "refunds": copy.deepcopy(order.refunds),
        "voided": [p.id for p in order.payments if p.voided],
        "authorized": [p.id for p in order.payments if p.authorized],
        "fulfillments": copy.deepcopy(order.fulfillments),
        "fulfillments_created": order.effects.count("create_fulfillment"),
        "fulfillments_deleted": order.effects.count("delete_fulfillment"),
        "restocked": {line.id: line.restocked for line in order.lines if line.restocked},
        "emails": list(order.emails),
        "effects": list(order.effects),
        "mutating_calls": [
            {"endpoint": call["endpoint"], "status": call["status"]}
            for call in calls
            if call["endpoint"] in MUTATING
        ],
    }


def all_books(orders: Iterable[Order], calls: list[Json], unlisted: list[str]) -> Json:
    """Return the books of all orders and calls."""
    per_order: dict[str, list[Json]] = {}
    for call in calls:
        per_order.setdefault(call["order_id"], []).append(call)
    shown = {order.id: order_book(order, per_order.get(order.id, ())) for order in orders}
    return {
        "orders": shown,
        "calls": len(calls),
        "calls_per_endpoint": dict(Counter(call["endpoint"] for call in calls)),
        "calls_per_order": {
            order_id: dict(Counter(call["endpoint"] for call in of_order))
            for order_id, of_order in per_order.items()
        },
        "refunds_per_order": {i: len(book["refunds"]) for i, book in shown.items()},
        "cancelled_orders": [i for i, book in shown.items() if book["status"] == "CANCELED"],
        "unlisted_calls": list(unlisted),
    }
