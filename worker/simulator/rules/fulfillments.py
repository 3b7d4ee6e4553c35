"""Calls about fulfillments. W40 to W45."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from worker.simulator.contract.refusals import Json, Refusal
from worker.simulator.rules.orders import Call
from worker.simulator.script.flags import Flags
from worker.simulator.world.orders import Order
from worker.simulator.world.payments import new_id
from worker.simulator.world.provider import iso
from worker.simulator.world.views import fulfillments_wire

#: Carriers for which Wix generates the tracking link. W45.
_LINKS: Mapping[str, str] = {
    "fedex": "https://www.fedex.com/apps/fedextrack/?action=track&trackingnumber={}",
    "ups": "https://wwwapps.ups.com/WebTracking/track?track=yes&trackNums={}",
    "usps": "https://tools.usps.com/go/TrackConfirmAction_input?qtc_tLabels1={}",
    "dhl": "https://www.logistics.dhl/global-en/home/tracking.html?tracking-id={}",
    "canadaPost": "https://www.canadapost.ca/trackweb/en#/resultList?searchFor={}",
}


def list_fulfillments(call: Call) -> Json:
    """Return the fulfillments of an order."""
    return {"orderWithFulfillments": fulfillments_wire(call.order)}


def create_fulfillment(call: Call) -> Json:
    """Only approved orders can be fulfilled (documented); the code of the refusal is unknown."""
    if call.order.status != "APPROVED":
        raise Refusal(428, "ORDER_NOT_APPROVED")
    made = add_fulfillment(call.order, call.body["fulfillment"], call.flags, call.now_ms)
    return {"fulfillmentId": made["id"]} | list_fulfillments(call)


def add_fulfillment(order: Order, wanted: Mapping[str, Any], flags: Flags, now_ms: int) -> Json:
    """Fulfill the given lines; a line without a quantity takes all remaining units (documented)."""
    fulfilled = order.fulfilled_units()
    items = []
    for item in wanted.get("lineItems") or [{"id": line.id} for line in order.lines]:
        line = order.line(item["id"])
        if line is None:
            raise Refusal(404, "LINE_ITEM_NOT_FOUND", {"lineItemId": item["id"]})
        left = line.quantity - fulfilled[line.id]
        units = item.get("quantity") or left
        is_split = fulfilled[line.id] and flags.split_lines == "428"
        if not 0 < units <= left or is_split:
            raise Refusal(428, "NOT_ENOUGH_UNITS", {"lineItemId": line.id})
        items.append({"id": line.id, "quantity": units})
    made: Json = {"id": new_id(), "createdDate": iso(now_ms), "lineItems": items}
    made |= {name: wanted[name] for name in ("customInfo", "status", "completed") if name in wanted}
    if wanted.get("trackingInfo"):
        made["trackingInfo"] = _tracking(order, wanted["trackingInfo"], "")
    order.fulfillments.append(made)
    order.emails.append("shipping_confirmation")
    if order.fulfillment_status == "FULFILLED":
        order.activities.append("ORDER_FULFILLED")
    return made


def _tracking(order: Order, wanted: Mapping[str, Any], own_id: str) -> Json:
    """Return the tracking with its link; an order cannot have a tracking number twice. W44."""
    number, carrier = wanted.get("trackingNumber"), str(wanted.get("shippingProvider"))
    for other in order.fulfillments:
        if other["id"] != own_id and number and _number_of(other) == number:
            raise Refusal(409, "TRACKING_NUMBER_ALREADY_EXISTS")
    link = {"trackingLink": _LINKS[carrier].format(number)} if carrier in _LINKS else {}
    return link | dict(wanted)


def _number_of(fulfillment: Json) -> str | None:
    found: str | None = fulfillment.get("trackingInfo", {}).get("trackingNumber")
    return found


def update_fulfillment(call: Call) -> Json:
    """Change tracking and status; lines and quantities cannot be changed (documented)."""
    wanted = call.body["fulfillment"]
    own_id = call.ids["fulfillment_id"]
    found = next((f for f in call.order.fulfillments if f["id"] == own_id), None)
    if found is None:
        raise Refusal(404)
    if wanted.get("trackingInfo"):
        found["trackingInfo"] = _tracking(call.order, wanted["trackingInfo"], own_id)
    found |= {name: wanted[name] for name in ("status", "completed") if name in wanted}
    return list_fulfillments(call)


def delete_fulfillment(call: Call) -> Json:
    """Delete a fulfillment; the answer lists the others. W40, W43."""
    order, flags = call.order, call.flags
    left = [f for f in order.fulfillments if f["id"] != call.ids.get("fulfillment_id")]
    gone = [f for f in order.fulfillments if f not in left]
    if not gone and flags.delete_twice == "404":
        raise Refusal(404)
    if flags.unfulfill_lag_ms and call.now_ms >= order.lags_until_ms:
        order.lagging_status = order.fulfillment_status
    order.lags_until_ms = call.now_ms + flags.unfulfill_lag_ms
    order.fulfillments = left
    for item in (item for f in gone for item in f["lineItems"] if flags.delete_restocks):
        if line := order.line(item["id"]):
            line.restocked += item["quantity"]
    if not left:
        order.activities.append("ORDER_NOT_FULFILLED")
    return list_fulfillments(call)
