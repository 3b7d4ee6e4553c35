"""What can be refunded, as Wix calculates it. The fields are described in W60 to W62."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from pydantic import StrictBool

from worker.wix.models import Answer, Lenient, Price, needed


class NonRefundable(Answer):
    """Why a payment cannot be refunded. W61."""

    reason: str


class ManuallyRefundable(Answer):
    """Why Wix cannot refund a payment itself. W61."""

    reason: Lenient[str] = None
    """Only shown to people."""


class Monetary(Answer):
    """Amounts that were refunded or can still be refunded."""

    max_refund: Lenient[Price] = None
    paid: Lenient[Price] = None
    refunded: Lenient[Price] = None
    refund_pending: Lenient[Price] = None


class RefundablePayment(Answer):
    """The payment; a membership has no monetary amounts."""

    payment_id: str
    monetary: Lenient[Monetary] = None


class PaymentRefundability(Answer):
    """One payment and whether Wix can refund it. W60."""

    payment: RefundablePayment
    manually_refundable: ManuallyRefundable | None = None
    non_refundable: NonRefundable | None = None
    provider_link: Lenient[str] = None
    """Link to the payment at its provider, for a person."""

    @property
    def max_refund(self) -> Decimal | None:
        """The amount that can still be refunded; None if Wix does not say."""
        monetary = self.payment.monetary
        return monetary.max_refund.amount if monetary and monetary.max_refund else None

    @property
    def already_returned(self) -> Decimal:
        """The amount that was refunded or has a refund pending; 0 if it has no amounts.

        Raises:
            Unreadable: Wix does not say.
        """
        monetary = self.payment.monetary
        if monetary is None:
            return Decimal(0)
        endpoint = "get_order_refundability"
        refunded = needed(monetary.refunded, endpoint, "refunded")
        return refunded.amount + needed(monetary.refund_pending, endpoint, "refundPending").amount


class LineRefundability(Answer):
    """The number of units of a line that can still be refunded."""

    line_item_id: str
    available_refund_quantity: int


class Refundability(Answer):
    """The answer of getOrderRefundability. W60."""

    payments: tuple[PaymentRefundability, ...]
    line_items: Lenient[tuple[LineRefundability, ...]] = None

    @property
    def lines(self) -> tuple[LineRefundability, ...]:
        """The order's lines.

        Raises:
            Unreadable: Wix does not list them.
        """
        return needed(self.line_items, "get_order_refundability", "lineItems")


class CalculationSummary(Answer):
    """The total of the requested lines, fees and shipping, or of one of them."""

    total: Price
    tax: Lenient[Price] = None
    discount: Lenient[Price] = None
    line_items_subtotal: Lenient[Price] = None
    additional_fees_total: Lenient[Price] = None


class RefundLineItem(Answer):
    """Which line, and how many of its units."""

    line_item_id: str
    quantity: int


class CalculatedLine(Answer):
    """What Wix calculates for one line."""

    item: Lenient[RefundLineItem] = None
    summary: Lenient[CalculationSummary] = None


class CalculatedShipping(Answer):
    """What Wix calculates for the shipping."""

    summary: Lenient[CalculationSummary] = None


class CalculatedItems(Answer):
    """What Wix calculates for each part."""

    line_items: Lenient[tuple[CalculatedLine, ...]] = None
    shipping: Lenient[CalculatedShipping] = None


class NotAvailable(Answer):
    """Why nothing could be calculated, one error per item."""

    errors: tuple[dict[str, Any], ...]

    @property
    def codes(self) -> tuple[str, ...]:
        """Wix's error code for each item, "" for an error that is no business rule."""
        return tuple(_code(item.get("error")) for item in self.errors)

    @property
    def is_failure(self) -> bool:
        """Whether Wix failed, instead of refusing."""
        inner = [item.get("error") for item in self.errors]
        known = ("applicationError", "validationError")
        return not all(isinstance(e, dict) and any(e.get(name) for name in known) for e in inner)


def _code(error: Any) -> str:
    found = error.get("applicationError") if isinstance(error, dict) else None
    return str(found.get("code") or "") if isinstance(found, dict) else ""


class Calculation(Answer):
    """The answer of calculateRefund: a summary, or a refusal, which also has status 200. W62."""

    available: StrictBool | None = None
    summary: Lenient[CalculationSummary] = None
    calculated_refund_items: Lenient[CalculatedItems] = None
    not_available: Lenient[NotAvailable] = None

    @property
    def refusal(self) -> NotAvailable | None:
        """Why nothing can be calculated; None if it can."""
        if self.available:
            return None
        refusal = needed(self.not_available, "calculate_refund", "available, notAvailable")
        is_readable = refusal.errors and not refusal.is_failure
        return needed(refusal if is_readable else None, "calculate_refund", "notAvailable.errors")

    @property
    def total(self) -> Decimal:
        """The total of what was asked for, if it is available."""
        return needed(self.summary, "calculate_refund", "summary.total").total.amount
