"""Builds an order from what a test, a scenario or the admin endpoint gives."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import fields
from decimal import Decimal
from typing import Any, TypeVar

from worker.simulator.contract.refusals import Json
from worker.simulator.world.lines import Fee, Line
from worker.simulator.world.money import cent
from worker.simulator.world.orders import Order
from worker.simulator.world.payments import Payment, new_id

Part = TypeVar("Part", Line, Fee, Payment)
_AMOUNTS = frozenset({"amount", "price", "tax", "chargeback", "shipping", "discount"})
#: Fields of an order that cannot be given when it is placed.
INTERNAL = frozenset(
    {"id", "site_id", "refunds", "cancellations", "updated_date", "canceled_date", "effects"}
    | {"emails", "lags_until_ms", "lagging_status"}
)
_PLAIN = frozenset(field.name for field in fields(Order)) - INTERNAL - {"lines", "payments", "fees"}


def part(kind: type[Part], given: Part | Mapping[str, Any]) -> Part:
    """Return a line, fee or payment made from its fields; amounts may be text."""
    if isinstance(given, kind):
        return given
    return kind(**{name: _exact(name, value) for name, value in dict(given).items()})  # type: ignore[arg-type]  # it is a mapping here


def _exact(name: str, value: Any) -> Any:
    return Decimal(str(value)) if name in _AMOUNTS and value is not None else value


def placed(
    order: Order,
    *,
    amounts: Iterable[str] | None,
    fulfillments: int | Iterable[Mapping[str, Any]],
    lines: Sequence[Line | Mapping[str, Any]] | None = None,
    payments: Sequence[Payment | Mapping[str, Any]] | None = None,
    fees: Sequence[Fee | Mapping[str, Any]] = (),
    **more: Any,
) -> Order:
    """Fill in an order, and return it.

    *lines*, *fees* and *payments* are objects, or mappings with their fields. Without *lines* there
    is one line for each fulfillment, and at least one; they share the price. Without *payments*
    there is one for each of *amounts*; without these, one pays for everything. *fulfillments* is
    the number of fulfillments, which then contain all lines, or a list of
    `{lineItems: [{id | index, quantity}], trackingInfo}`. *more* has other fields of `Order`.
    """
    if unknown := more.keys() - _PLAIN:
        raise TypeError(f"an order has no {', '.join(sorted(unknown))}")
    for name, value in more.items():
        setattr(order, name, _exact(name, value))
    order.fees = [part(Fee, fee) for fee in fees]
    if lines is None:
        if amounts is None and payments is None:
            amounts = (str(Decimal("101.40").quantize(cent(order.currency))),)
        amounts = tuple(amounts or ())
        paid = [part(Payment, payment).amount for payment in payments or ()]
        count = max(1, fulfillments if isinstance(fulfillments, int) else 1)
        order.lines = _shared(sum(map(Decimal, amounts), sum(paid, Decimal(0))), count, order)
    else:
        order.lines = [part(Line, line) for line in lines]
        amounts = (str(order.total),) if amounts is None else tuple(amounts)
    given = [Payment(Decimal(a)) for a in amounts] if payments is None else payments
    order.payments = [part(Payment, payment) for payment in given]
    for payment in order.payments:
        payment.created_date = payment.created_date or order.created_date
    order.activities = ["ORDER_PLACED", *order.activities]
    order.fulfillments += list(_fulfillments(order, fulfillments))
    return order


def _shared(price: Decimal, count: int, order: Order) -> list[Line]:
    """Return *count* lines that together cost the price without shipping and fees."""
    rest = price - (order.shipping or Decimal(0)) - sum((f.amount for f in order.fees), Decimal(0))
    each = (rest / count).quantize(cent(order.currency))
    lines = [Line(each) for _ in range(count)]
    lines[0].price += rest - each * count
    return lines


def _fulfillments(order: Order, wanted: int | Iterable[Mapping[str, Any]]) -> Iterable[Json]:
    if isinstance(wanted, int):
        if wanted > len(order.lines):
            raise ValueError("an order has no more fulfillments than lines")
        wanted = [
            {"lineItems": [{"id": line.id} for line in order.lines[n::wanted]]}
            for n in range(wanted)
        ]
    for number, given in enumerate(wanted):
        yield shipment(order, given, number)


def _line_of(order: Order, item: Mapping[str, Any]) -> Line:
    """Return the line with the given position or id."""
    lines: dict[Any, Line] = {line.id: line for line in order.lines}
    lines |= dict(enumerate(order.lines))
    named = item.get("index", item.get("id"))
    if named is None:
        raise ValueError("an item of a fulfillment needs the index or the id of a line")
    if named not in lines:
        raise ValueError(f"the order has no line {named}")
    return lines[named]


def shipment(order: Order, given: Mapping[str, Any], number: int) -> Json:
    """Return a fulfillment; a line without a quantity is fulfilled completely."""
    items = []
    for item in given["lineItems"]:
        line = _line_of(order, item)
        items.append({"id": line.id, "quantity": item.get("quantity", line.quantity)})
    tracking = {"trackingNumber": str(number), "shippingProvider": "ups"}
    made = {"id": new_id(), "createdDate": order.created_date, "lineItems": items}
    return made | {"trackingInfo": dict(given.get("trackingInfo") or tracking)}
