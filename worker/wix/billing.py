"""The parts of Wix's answers about money that we read: refundability, refunds, payments.

Their fields are described in W50 to W75.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from decimal import Decimal
from typing import Any

from pydantic import StrictBool

from worker.wix.models import Answer, Lenient, Moment, Price, needed


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
    """The total of the requested lines, fees and shipping."""

    total: Price


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


class RefundTransaction(Answer):
    """The part of a refund that goes to one payment. W53."""

    payment_id: str
    amount: Price | None = None
    refund_status: str
    refund_status_info: Lenient[dict[str, Any]] = None
    external_refund: Lenient[bool] = None
    """Whether Wix only recorded it and moved no money. W66."""


class RefundDetails(Answer):
    """What the caller sent with the refund."""

    reason: Lenient[str] = None


class WixRefund(Answer):
    """A refund as Wix stores it."""

    id: str
    created_date: Lenient[Moment] = None
    transactions: tuple[RefundTransaction, ...]
    details: Lenient[RefundDetails] = None

    @property
    def reason(self) -> str:
        """The text that contains our fingerprint, if the refund is ours. W64."""
        return (self.details.reason if self.details else None) or ""

    @property
    def total(self) -> Decimal:
        """The sum of its transactions, in the order's currency."""
        return sum((t.amount.amount for t in self.transactions if t.amount), Decimal(0))

    @property
    def statuses(self) -> tuple[str, ...]:
        """The status of each transaction: SCHEDULED, STARTED, PENDING, SUCCEEDED or FAILED."""
        return tuple(transaction.refund_status for transaction in self.transactions)

    def sum_of(self, status: str) -> Decimal:
        """Return the sum of the transactions with this status, in the order's currency."""
        parts = (t.amount for t in self.transactions if t.refund_status == status)
        return sum((part.amount for part in parts if part), Decimal(0))

    def failures(self) -> Iterator[str]:
        """Yield the provider's code for each failed transaction. W68."""
        for transaction in self.transactions:
            if transaction.refund_status == "FAILED":
                info = transaction.refund_status_info or {}
                yield str(info.get("paymentGatewayReasonCode") or "FAILED")


class RefundAnswer(Answer):
    """The answer of refundPayments."""

    refund: WixRefund


class Void(Answer):
    """The void of an authorization. The values of its status are unknown. W75."""

    status: Lenient[str] = None


class Authorization(Answer):
    """Details of a payment that was authorized first and captured later, or not yet."""

    void: Lenient[Void] = None


class RegularPayment(Answer):
    """A payment that is neither a gift card nor a membership."""

    status: Lenient[str] = None
    authorization_details: Lenient[Authorization] = None


class Payment(Answer):
    """One payment of an order. W50."""

    id: str
    status: Lenient[str] = None
    regular_payment_details: Lenient[RegularPayment] = None
    giftcard_payment_details: Any = None
    membership_payment_details: Any = None

    @property
    def effective_status(self) -> str:
        """The status; from the deprecated field if the new one is absent. W50.

        Raises:
            Unreadable: Wix does not say. A gift card or membership need not have one.
        """
        old = self.regular_payment_details.status if self.regular_payment_details else None
        status = self.status or old or ("" if self.only_in_full else None)
        return needed(status, "list_transactions", "payments.status")

    @property
    def void_status(self) -> str:
        """The status of its void; empty if no void was requested."""
        regular = self.regular_payment_details
        details = regular.authorization_details if regular else None
        return (details.void.status if details and details.void else None) or ""

    @property
    def only_in_full(self) -> bool:
        """Whether it can only be refunded in full: gift cards and memberships. W51."""
        return bool(
            self.giftcard_payment_details is not None or self.membership_payment_details is not None
        )


class Transactions(Answer):
    """Payments and refunds of one order."""

    payments: tuple[Payment, ...]
    refunds: tuple[WixRefund, ...]


class TransactionsAnswer(Answer):
    """The answer of listTransactions; possibly `{}` for an unknown order. W34."""

    order_transactions: Transactions


class VoidAnswer(Answer):
    """The answer of voidAuthorizedPayments; the transactions are listed again later.

    That the field is there tells the answer from an error.
    """

    order_transactions: dict[str, Any]


#: Statuses of payments that have nothing to refund. W50.
_NOTHING_PAID = frozenset({"VOIDED", "CANCELED", "DECLINED", "PENDING", "PENDING_MERCHANT"})


def is_voided(payments: Iterable[Payment]) -> bool:
    """Whether an authorization was voided and nothing else was paid."""
    statuses = {payment.effective_status for payment in payments}
    return "VOIDED" in statuses and statuses <= _NOTHING_PAID
