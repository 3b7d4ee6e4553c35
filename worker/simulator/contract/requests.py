"""The request body of each call, as Wix documents it. W21.

Where no limit is documented, the limit here is generous.
"""

from __future__ import annotations

from collections.abc import Mapping

from worker.simulator.contract.validation import (
    Amount,
    AnyValue,
    Array,
    Boolean,
    Fields,
    Integer,
    Rule,
    Text,
)

_GUID = Text(guid=True)
_UNITS = Integer(min=1, max=100_000)
_PRICE = Fields({"amount": Amount(), "formattedAmount": Text()}, frozenset({"amount"}))
_ORDER_ID = Text(min=1, max=100)
_MESSAGE = Text(min=1, max=1000)


def _fields(required: str = "", **fields: Rule) -> Fields:
    return Fields(fields, frozenset(required.split()))


_LINE = _fields("lineItemId quantity", lineItemId=_GUID, quantity=_UNITS)
_REFUND_ITEMS = _fields(
    lineItems=Array(_LINE, max=300),
    additionalFees=Array(_fields("additionalFeeId", additionalFeeId=_GUID, amount=_PRICE)),
    shipping=_fields(amount=_PRICE),
)
_FULFILLMENT = _fields(
    "",
    id=_GUID,
    createdDate=Text(),
    lineItems=Array(_fields("id", id=_GUID, quantity=_UNITS), max=300),
    trackingInfo=_fields(
        trackingNumber=Text(max=100), shippingProvider=Text(max=100), trackingLink=Text(max=2048)
    ),
    customInfo=_fields(fieldsData=AnyValue()),
    status=Text(among=frozenset({"Pending", "Accepted", "Ready", "In_Delivery", "Fulfilled"})),
    completed=Boolean(),
)
_PAGING = _fields(limit=Integer(min=1, max=100), cursor=Text(max=16_000))
_SORT = Array(
    _fields("fieldName", fieldName=Text(), order=Text(among=frozenset({"ASC", "DESC"}))), max=4
)
_QUERY = _fields(filter=AnyValue(), sort=_SORT, cursorPaging=_PAGING)
_STATUSES = "APPROVED PENDING PENDING_MERCHANT CANCELED DECLINED REFUNDED PARTIALLY_REFUNDED"

BODIES: Mapping[str, Fields] = {
    "search_orders": _fields(search=_QUERY),
    "cancel_order": _fields(
        restockAllItems=Boolean(), sendOrderCanceledEmail=Boolean(), customMessage=_MESSAGE
    ),
    "update_order": _fields("order", order=AnyValue()),
    "add_activities": _fields("orderActivities", orderActivities=Array(AnyValue(), min=1)),
    "list_fulfillments_of_orders": _fields("orderIds", orderIds=Array(_ORDER_ID, min=1)),
    "create_fulfillment": _fields("fulfillment", fulfillment=_FULFILLMENT),
    "update_fulfillment": _fields("fulfillment", fulfillment=_FULFILLMENT),
    "bulk_create_fulfillments": _fields(
        "ordersWithFulfillments",
        ordersWithFulfillments=Array(
            _fields("orderId", orderId=_ORDER_ID, fulfillments=Array(_FULFILLMENT)), min=1
        ),
    ),
    "get_order_refundability": _fields("orderId", orderId=_GUID),
    "calculate_refund": _fields("orderId", orderId=_GUID, refundItems=_REFUND_ITEMS),
    "submit_refund": _fields(
        "orderId paymentRefunds",
        orderId=_GUID,
        paymentRefunds=Array(
            _fields("paymentId", paymentId=_GUID, amount=_PRICE, externalRefund=Boolean()),
            min=1,
            max=50,
        ),
        refundItems=_REFUND_ITEMS,
        sideEffects=_fields(
            restock=_fields(lineItems=Array(_LINE, max=300)),
            notifications=_fields(sendCustomerEmail=Boolean(), customMessage=_MESSAGE),
        ),
        customerReason=Text(max=200),
    ),
    "void_payments": _fields("orderId paymentIds", orderId=_GUID, paymentIds=Array(_GUID, min=1)),
    "capture_payments": _fields(
        "orderId payments",
        orderId=_GUID,
        payments=Array(_fields("paymentId", paymentId=_GUID, amount=_PRICE), min=1),
    ),
    "list_transactions_of_orders": _fields("orderIds", orderIds=Array(_ORDER_ID, min=1)),
    "update_payment_status": _fields("status", status=Text(among=frozenset(_STATUSES.split()))),
    "query_sites": _fields(query=_QUERY),
    "count_sites": _fields(filter=AnyValue()),
}
#: Ids in the path of a request. W21.
PATH_IDS: Mapping[str, Rule] = {
    "order_id": _ORDER_ID,
    "fulfillment_id": _GUID,
    "payment_id": _GUID,
}
