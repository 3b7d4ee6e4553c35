"""What can still be refunded. W60 to W62."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Any

from worker.simulator.contract.refusals import Json, Refusal
from worker.simulator.rules.orders import Call
from worker.simulator.script.flags import Flags
from worker.simulator.world.lines import Fee, Line
from worker.simulator.world.money import cent, money, total
from worker.simulator.world.orders import Order, max_refund
from worker.simulator.world.payments import Payment


def obstacle(order: Order, payment: Payment, flags: Flags) -> str:
    """Return why a payment cannot be refunded at all, a reason of W61; empty if it can."""
    if payment.non_refundable:
        return payment.non_refundable
    if order.status in {"PENDING", "REJECTED"}:
        return f"ORDER_IS_{order.status}"
    if not payment.is_paid:
        return "NOT_PAID"
    if not payment.amount:
        return "ZERO_PRICE"
    if order.pending(payment.id):
        return "PENDING_REFUND"
    if payment.chargeback and (flags.chargeback == "blocks" or not max_refund(order, payment)):
        return "AMOUNT_OFFSET_BY_CHARGEBACK"
    return "" if max_refund(order, payment) else "ALREADY_REFUNDED"


def manual_reason(payment: Payment) -> str:
    """Return why only the merchant can refund a payment, a reason of W61; empty if Wix can."""
    return payment.manual or ("OFFLINE" if payment.offline else "")


def get_order_refundability(call: Call) -> Json:
    """Return what can still be refunded of an order. W60."""
    order, price = call.order, _price(call.order)
    left = {fee.id: fee.amount - order.refunded_fee(fee.id) for fee in order.fees}
    answer: Json = {
        "payments": [_payment(call, payment) for payment in order.payments],
        "paymentsSummary": {
            "monetary": _monetary(order, [p for p in order.payments if p.kind != "membership"])
        },
        "lineItems": [_units(order, line) for line in order.lines],
        "additionalFees": [
            {
                "additionalFeeId": fee.id,
                "amount": price(fee.amount),
                "refundedAmount": price(fee.amount - left[fee.id]),
                "availableRefundAmount": price(left[fee.id]),
            }
            for fee in order.fees
        ],
    }
    if order.shipping is not None:
        back = order.refunded_shipping()
        answer["shipping"] = {
            "amount": price(order.shipping),
            "refundedAmount": price(back),
            "availableRefundAmount": price(order.shipping - back),
        }
    return answer


def _price(order: Order) -> Any:
    return lambda amount: money(amount, order.currency)


def _units(order: Order, line: Line) -> Json:
    refunded = order.refunded_units(line.id)
    return {
        "lineItemId": line.id,
        "originalQuantity": line.quantity,
        "refundedQuantity": refunded,
        "availableRefundQuantity": line.quantity - refunded,
    }


def _monetary(order: Order, payments: Iterable[Payment]) -> Json:
    payments, price = list(payments), _price(order)
    return {
        "paid": price(total(p.amount for p in payments)),
        "refunded": price(total(order.refunded(p.id) for p in payments)),
        "refundPending": price(total(order.pending(p.id) for p in payments)),
        "maxRefund": price(total(max_refund(order, p) for p in payments)),
    }


def _payment(call: Call, payment: Payment) -> Json:
    order = call.order
    shown: Json = {
        "paymentId": payment.id,
        "paymentMethod": payment.shown_method,
        "offlinePayment": payment.offline,
    }
    if payment.kind == "membership":
        back = [payment.id] if order.refunded(payment.id) else []
        left = [] if back else [payment.id]
        shown["membership"] = {
            "paidLineItemIds": [payment.id],
            "refundedLineItemIds": back,
            "refundableLineItemIds": left,
        }
    elif payment.kind == "card" or call.flags.gift_card_monetary:
        shown["monetary"] = _monetary(order, [payment])
    if payment.kind == "card" and not payment.offline:
        shown["creditCardDetails"] = {"lastFourDigits": "4242", "brand": "Visa"}
    answer: Json = {"payment": shown}
    if payment.provider_link:
        answer["providerLink"] = payment.provider_link
    if reason := obstacle(order, payment, call.flags):
        return answer | {"nonRefundable": {"reason": reason}}
    hides = payment.offline and call.flags.offline_shows_refundable
    if (reason := manual_reason(payment)) and not hides:
        return answer | {"manuallyRefundable": {"reason": reason}}
    return answer | {"refundable": True}


def calculate_refund(call: Call) -> Json:
    """Calculate a refund without making it; a refusal has status 200, too. W62."""
    asked = call.body.get("refundItems") or {}
    errors: list[Json] = []
    found: dict[str, list[Json]] = {"lineItems": [], "additionalFees": []}
    shipping: Json = {}
    for name, items, check in (
        ("lineItem", asked.get("lineItems") or [], checked_line),
        ("additionalFee", asked.get("additionalFees") or [], checked_fee),
        (
            "shipping",
            [asked["shipping"]] if asked.get("shipping") is not None else [],
            checked_shipping,
        ),
    ):
        for item in items:
            try:
                made = check(call.order, item)
            except Refusal as refusal:
                errors.append({name: item, "error": refusal.details()})
                continue
            if name == "shipping":
                shipping = made
            else:
                found[f"{name}s"].append(made)
    if errors:
        return {"notAvailable": {"errors": errors}}
    parts = [*found["lineItems"], *found["additionalFees"], *([shipping] if shipping else [])]
    calculated = found | ({"shipping": shipping} if shipping else {})
    return {"available": True, "summary": _sum(call.order, parts, found)} | {
        "calculatedRefundItems": calculated
    }


def _sum(order: Order, parts: Iterable[Json], found: Mapping[str, list[Json]]) -> Json:
    def added(name: str, of: Iterable[Json]) -> Json:
        return money(total(Decimal(p["summary"][name]["amount"]) for p in of), order.currency)

    parts = list(parts)
    return {name: added(name, parts) for name in ("total", "tax", "discount", "subtotal")} | {
        "lineItemsSubtotal": added("subtotal", found["lineItems"]),
        "additionalFeesTotal": added("total", found["additionalFees"]),
    }


def _summary(
    order: Order, subtotal: Decimal, tax: Decimal = Decimal(0), off: Decimal = Decimal(0)
) -> Json:
    parts = {"total": subtotal + tax - off, "tax": tax, "discount": off, "subtotal": subtotal}
    return {name: money(amount, order.currency) for name, amount in parts.items()}


def checked_line(order: Order, item: Json) -> Json:
    """Return the requested units of a line, with their price."""
    line = order.line(item["lineItemId"])
    if line is None:
        raise Refusal(404, "LINE_ITEM_NOT_FOUND", item)
    if item["quantity"] > line.quantity - order.refunded_units(line.id):
        raise Refusal(400, "INVALID_LINE_ITEM_REFUND_QUANTITY", item)
    subtotal, step = line.price * item["quantity"], cent(order.currency)
    goods = total(one.before_tax for one in order.lines)
    off = (order.discount * subtotal / goods).quantize(step) if order.discount else Decimal(0)
    tax = line.tax_of(item["quantity"], step)
    return {"item": item, "summary": _summary(order, subtotal, tax, off)}


def checked_fee(order: Order, item: Json) -> Json:
    """Return a fee, or the requested part of it; without an amount all that is left. W62."""
    fee: Fee | None = next((fee for fee in order.fees if fee.id == item["additionalFeeId"]), None)
    if fee is None:
        raise Refusal(404, "ADDITIONAL_FEE_NOT_FOUND", item)
    left = fee.amount - order.refunded_fee(fee.id)
    amount = Decimal(item["amount"]["amount"]) if item.get("amount") else left
    if not 0 < amount <= left:
        raise Refusal(400, "INVALID_ADDITIONAL_FEE_REFUND_AMOUNT", item)
    named = {"additionalFeeId": fee.id, "amount": money(amount, order.currency)}
    return {"additionalFee": named, "summary": _summary(order, amount)}


def checked_shipping(order: Order, item: Json) -> Json:
    """Return the shipping, or the requested part of it; without an amount all that is left. W62.

    Free shipping may be requested, too, as in the documented example of calculateRefund.
    """
    if order.shipping is None:
        raise Refusal(404, "SHIPPING_NOT_FOUND", item)
    left = order.shipping - order.refunded_shipping()
    amount = Decimal(item["amount"]["amount"]) if item.get("amount") else left
    was_free = not order.shipping and not item.get("amount")
    if not (0 < amount <= left or was_free):
        raise Refusal(400, "INVALID_SHIPPING_REFUND_AMOUNT", item)
    named = {"amount": money(amount, order.currency)}
    return {"shipping": named, "summary": _summary(order, amount)}
