"""Orders, fulfillments and transactions as in Wix's answers."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from worker.simulator.contract.refusals import Json
from worker.simulator.world.money import money, total
from worker.simulator.world.orders import PENDING, Order


def order_wire(order: Order, now_ms: int) -> Json:
    """Return an order as in the answer to getOrder."""
    lags = now_ms < order.lags_until_ms
    shipping = {"cost": {"price": money(order.shipping or Decimal(0), order.currency)}}
    return {
        "id": order.id,
        "number": order.number,
        "createdDate": order.created_date,
        "updatedDate": order.updated_date or order.created_date,
        "purchasedDate": order.purchased_date or order.created_date,
        "status": order.status,
        "paymentStatus": order.payment_status,
        "fulfillmentStatus": order.lagging_status if lags else order.fulfillment_status,
        "archived": order.archived,
        "imported": order.imported,
        "currency": order.currency,
        "currencyConversionDetails": {"originalCurrency": order.currency, "conversionRate": "1"},
        "buyerLanguage": "en",
        "weightUnit": "KG",
        "taxIncludedInPrices": False,
        "buyerInfo": {"visitorId": order.id, "contactId": order.id, "email": order.email},
        "lineItems": [
            line.wire(order.currency, order.refunded_units(line.id)) for line in order.lines
        ],
        "additionalFees": [fee.wire(order.currency) for fee in order.fees],
        **({} if order.shipping is None else {"shippingInfo": {"title": "Post"} | shipping}),
        "priceSummary": _prices(order),
        "balanceSummary": _balance(order),
        "channelInfo": {"type": order.channel, "externalOrderId": order.external_id},
        "activities": [
            {"id": order.id, "createdDate": _date_of(kind, order), "activityType": kind}
            for kind in order.activities
        ],
        **order.extra,
    }


def _date_of(activity: str, order: Order) -> str:
    is_cancel = activity == "ORDER_CANCELED" and order.canceled_date
    return order.canceled_date if is_cancel else order.updated_date


def _prices(order: Order) -> Json:
    parts = {
        "subtotal": total(line.before_tax for line in order.lines),
        "shipping": order.shipping or Decimal(0),
        "tax": total(line.tax for line in order.lines),
        "discount": order.discount,
        "total": order.total,
        "totalAdditionalFees": total(fee.amount for fee in order.fees),
    }
    return {name: money(amount, order.currency) for name, amount in parts.items()}


def _balance(order: Order) -> Json:
    payments = order.payments
    parts = {
        "balance": order.total - order.paid,
        "paid": order.paid,
        "refunded": total(order.refunded(p.id) for p in payments),
        "pendingRefund": total(order.pending(p.id) for p in payments),
        "authorized": total(p.amount for p in payments if p.authorized),
        "pending": total(p.amount for p in payments if p.status.startswith("PENDING")),
        "chargeback": total(p.chargeback for p in payments),
        "chargebackReversal": Decimal(0),
    }
    return {name: money(amount, order.currency) for name, amount in parts.items()}


def fulfillments_wire(order: Order) -> Json:
    """Return the fulfillments of an order."""
    return {"orderId": order.id, "fulfillments": list(order.fulfillments)}


def refund_wire(refund: Json, currency: str) -> Json:
    """Return a refund with its summary, without the fields that only the simulator uses."""
    sums = {"requestedRefund": Decimal(0), "pendingRefund": Decimal(0)}
    sums |= {"refunded": Decimal(0), "failedRefundAmount": Decimal(0)}
    for part in refund["transactions"]:
        amount, status = Decimal(part["amount"]["amount"]), part["refundStatus"]
        sums["requestedRefund"] += amount
        if status in PENDING:
            sums["pendingRefund"] += amount
        elif status == "SUCCEEDED":
            sums["refunded"] += amount
        elif status == "FAILED":
            sums["failedRefundAmount"] += amount
    summary: Json = {name: money(amount, currency) for name, amount in sums.items()}
    summary["pending"] = any(part["refundStatus"] in PENDING for part in refund["transactions"])
    public: Json = _public(refund)
    return public | {"summary": summary}


def transactions_wire(order: Order) -> Json:
    """Return the payments and refunds of an order."""
    return {
        "orderId": order.id,
        "payments": [p.wire(order.refunded(p.id), order.currency) for p in order.payments],
        "refunds": [refund_wire(refund, order.currency) for refund in order.refunds],
    }


def _public(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _public(v) for name, v in value.items() if not name.startswith("_")}
    return [_public(item) for item in value] if isinstance(value, list) else value
