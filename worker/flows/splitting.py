"""What an amount is made of, as Wix tells it: only for upstream, so nothing depends on it."""

from __future__ import annotations

from worker.flows.amounts import rounded
from worker.refund.split import AmountSplit, SplitLine
from worker.wix.models import Order, Price
from worker.wix.refundability import CalculatedLine, Calculation


def split_of_order(order: Order) -> AmountSplit | None:
    """Return what a whole order is made of; None if Wix does not tell, or it was refunded before.

    W20: the prices of an order are before any refund.
    """
    prices = order.price_summary
    if prices is None or prices.total is None or order.left_to_refund != prices.total.amount:
        return None
    return AmountSplit(
        total=f"{prices.total.amount:f}",
        lines_subtotal=_text(prices.subtotal, order.currency),
        shipping=_text(prices.shipping, order.currency),
        fees=_text(prices.total_additional_fees, order.currency),
        tax=_text(prices.tax, order.currency),
        discount=_text(prices.discount, order.currency),
    )


def split_of_calculation(answer: Calculation, currency: str) -> AmountSplit | None:
    """Return what Wix calculates for the parts of a job; None if it does not tell. W62."""
    summary, items = answer.summary, answer.calculated_refund_items
    if summary is None:
        return None
    lines = (items.line_items if items else None) or ()
    shipping = items.shipping.summary if items and items.shipping else None
    return AmountSplit(
        total=f"{rounded(summary.total.amount, currency):f}",
        lines=tuple(line for one in lines if (line := _line(one, currency))),
        lines_subtotal=_text(summary.line_items_subtotal, currency),
        shipping=_text(shipping.total if shipping else None, currency),
        fees=_text(summary.additional_fees_total, currency),
        tax=_text(summary.tax, currency),
        discount=_text(summary.discount, currency),
    )


def _line(line: CalculatedLine, currency: str) -> SplitLine | None:
    if line.item is None:
        return None
    summary = line.summary
    return SplitLine(
        line_item_id=line.item.line_item_id,
        quantity=line.item.quantity,
        amount=_text(summary.total if summary else None, currency),
        tax=_text(summary.tax if summary else None, currency),
        discount=_text(summary.discount if summary else None, currency),
    )


def _text(price: Price | None, currency: str) -> str | None:
    return None if price is None else f"{rounded(price.amount, currency):f}"
