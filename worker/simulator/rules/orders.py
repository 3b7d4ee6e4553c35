"""Calls about one order. W20 to W32."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from worker.simulator.contract.refusals import Json, Refusal
from worker.simulator.script.flags import Flags
from worker.simulator.world.orders import Order
from worker.simulator.world.payments import new_id
from worker.simulator.world.provider import set_canceled
from worker.simulator.world.views import order_wire


class Call(NamedTuple):
    """A call about one order; *ids* are those in its path."""

    order: Order
    body: Mapping[str, Any]
    ids: Mapping[str, str]
    flags: Flags
    now_ms: int


def shown_order(call: Call) -> Json:
    """Return the order as most calls answer it."""
    shown = order_wire(call.order, call.now_ms)
    if any(payment.authorized for payment in call.order.payments):
        shown["paymentStatus"] = call.flags.authorized_shows
    settled = (r["_created_ms"] + call.flags.provider_ms for r in call.order.refunds)
    lag_ms = call.flags.payment_status_lag_ms
    if lag_ms and any(at <= call.now_ms < at + lag_ms for at in settled):
        shown["paymentStatus"] = "PAID"
    return {"order": shown | call.order.extra}


def get_order(call: Call) -> Json:
    """Return the order."""
    return shown_order(call)


def cancel_order(call: Call) -> Json:
    """Cancel the order: no money moves and `paymentStatus` does not change. W30 to W32."""
    order = call.order
    if order.status in {"PENDING", "REJECTED"}:
        raise Refusal(428, f"ORDER_IS_{order.status}")
    if any(payment.authorized for payment in order.payments):
        raise Refusal(428, "ORDER_HAS_AUTHORIZED_TRANSACTION")
    for happens, flag, code in (
        (order.status == "CANCELED", call.flags.cancel_twice, "ORDER_ALREADY_CANCELED"),
        (order.status == "INITIALIZED", call.flags.cancel_initialized, "ORDER_IS_INITIALIZED"),
        (order.archived, call.flags.cancel_archived, "ORDER_IS_ARCHIVED"),
        (
            order.fulfillment_status != "NOT_FULFILLED" and order.status != "CANCELED",
            call.flags.cancel_fulfilled,
            "ORDER_IS_FULFILLED",
        ),
    ):
        if happens and flag == "428":
            raise Refusal(428, code)
    if order.status != "CANCELED" and call.body.get("restockAllItems"):
        for line in order.lines:
            line.restocked = line.quantity
    if call.body.get("sendOrderCanceledEmail"):
        order.emails.append("order_canceled")
    set_canceled(order, call.flags, call.now_ms)
    order.cancellations += 1
    return shown_order(call)


def update_order(call: Call) -> Json:
    """Change the order, as far as merchants do: `archived` and the buyer's e-mail address."""
    if call.order.status in {"PENDING", "REJECTED"}:
        raise Refusal(428, f"ORDER_IS_{call.order.status}")
    changed = call.body["order"]
    if "archived" in changed:
        call.order.archived = bool(changed["archived"])
    if email := (changed.get("buyerInfo") or {}).get("email"):
        call.order.email = email
    return shown_order(call)


def add_activities(call: Call) -> Json:
    """Add activities to the order."""
    added = call.body["orderActivities"]
    for activity in added:
        is_comment = "merchantComment" in activity
        call.order.activities.append("MERCHANT_COMMENT" if is_comment else "CUSTOM_ACTIVITY")
    return shown_order(call) | {"activityIds": [new_id() for _ in added]}
