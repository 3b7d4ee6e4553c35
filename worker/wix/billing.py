"""The parts of Wix's answers about money that we read: refundability, refunds, payments.

Their fields are described in W50 to W75.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from decimal import Decimal
from typing import Annotated, Any

from pydantic import AwareDatetime, BeforeValidator, Field

from worker.wix.models import Answer, Price, as_list


class Why(Answer):
    """Why a payment cannot be refunded, or not by Wix itself. W61."""

    reason: str = "UNKNOWN_REASON"


class Monetary(Answer):
    """Amounts that were refunded or can still be refunded."""

    max_refund: Price | None = None
    refunded: Price | None = None
    refund_pending: Price | None = None


class RefundablePayment(Answer):
    """The payment; a membership has no monetary amounts."""

    payment_id: str
    monetary: Monetary | None = None


class PaymentRefundability(Answer):
    """One payment and whether Wix can refund it. W60."""

    payment: RefundablePayment
    manually_refundable: Why | None = None
    non_refundable: Why | None = None
    provider_link: str | None = None
    """Link to the payment at its provider, for a person."""

    @property
    def max_refund(self) -> Decimal | None:
        """The amount that can still be refunded; None for a membership."""
        monetary = self.payment.monetary
        return monetary.max_refund.amount if monetary and monetary.max_refund else None

    @property
    def already_returned(self) -> Decimal:
        """The amount that was refunded or has a refund pending."""
        monetary = self.payment.monetary
        parts = (monetary.refunded, monetary.refund_pending) if monetary else ()
        return sum((part.amount for part in parts if part), Decimal(0))


class LineRefundability(Answer):
    """The number of units of a line that can still be refunded."""

    line_item_id: str
    available_refund_quantity: int = 0


class Refundability(Answer):
    """The answer of getOrderRefundability. W60."""

    payments: Annotated[tuple[PaymentRefundability, ...], BeforeValidator(as_list)] = ()
    line_items: Annotated[tuple[LineRefundability, ...], BeforeValidator(as_list)] = ()


class CalculationSummary(Answer):
    """The total of the requested lines, fees and shipping."""

    total: Price


class NotAvailable(Answer):
    """Why nothing could be calculated, one error per item."""

    errors: Annotated[tuple[dict[str, Any], ...], BeforeValidator(as_list)] = ()

    @property
    def codes(self) -> str:
        """Wix's error codes, without repeats."""
        inner = [item.get("error") for item in self.errors]
        found = [e.get("applicationError") for e in inner if isinstance(e, dict)]
        return ", ".join(sorted({str(f.get("code")) for f in found if isinstance(f, dict)}))


class Calculation(Answer):
    """The answer of calculateRefund; a refusal also has status 200. W62."""

    available: bool = False
    summary: CalculationSummary | None = None
    not_available: NotAvailable | None = None


class RefundTransaction(Answer):
    """The part of a refund that goes to one payment. W53."""

    payment_id: str = ""
    amount: Price | None = None
    refund_status: str = ""
    refund_status_info: dict[str, Any] | None = None
    external_refund: bool | None = None
    """Whether Wix only recorded it and moved no money. W66."""


class RefundDetails(Answer):
    """What the caller sent with the refund."""

    reason: str | None = None


class WixRefund(Answer):
    """A refund as Wix stores it."""

    id: str
    created_date: AwareDatetime | None = None
    transactions: Annotated[tuple[RefundTransaction, ...], BeforeValidator(as_list)] = ()
    details: RefundDetails | None = None

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

    status: str = ""


class Authorization(Answer):
    """Details of a payment that was authorized first and captured later, or not yet."""

    void: Void | None = None


class RegularPayment(Answer):
    """A payment that is neither a gift card nor a membership."""

    status: str = ""
    authorization_details: Authorization | None = None


class Payment(Answer):
    """One payment of an order. W50."""

    id: str
    status: str | None = None
    regular_payment_details: RegularPayment | None = None
    giftcard_payment_details: dict[str, Any] | None = None
    membership_payment_details: dict[str, Any] | None = None

    @property
    def effective_status(self) -> str:
        """The status; from the deprecated field if the new one is absent. W50."""
        old = self.regular_payment_details.status if self.regular_payment_details else ""
        return self.status or old

    @property
    def void_status(self) -> str:
        """The status of its void; empty if no void was requested."""
        regular = self.regular_payment_details
        details = regular.authorization_details if regular else None
        return details.void.status if details and details.void else ""

    @property
    def only_in_full(self) -> bool:
        """Whether it can only be refunded in full: gift cards and memberships. W51."""
        return bool(
            self.giftcard_payment_details is not None or self.membership_payment_details is not None
        )


class Transactions(Answer):
    """Payments and refunds of one order."""

    payments: Annotated[tuple[Payment, ...], BeforeValidator(as_list)] = ()
    refunds: Annotated[tuple[WixRefund, ...], BeforeValidator(as_list)] = ()

    def already_returned(self, payment_id: str) -> Decimal:
        """Return the sum of all refunds of a payment that have not failed."""
        parts = (part for refund in self.refunds for part in refund.transactions)
        mine = (p for p in parts if p.payment_id == payment_id and p.refund_status != "FAILED")
        return sum((part.amount.amount for part in mine if part.amount), Decimal(0))


class TransactionsAnswer(Answer):
    """The answer of listTransactions; possibly `{}` for an unknown order. W34."""

    order_transactions: Transactions = Field(default_factory=Transactions)


#: Statuses of payments that have nothing to refund. W50.
_NOTHING_PAID = frozenset({"VOIDED", "CANCELED", "DECLINED", "PENDING", "PENDING_MERCHANT"})


def is_voided(payments: Iterable[Payment]) -> bool:
    """Whether an authorization was voided and nothing else was paid."""
    statuses = {payment.effective_status for payment in payments}
    return "VOIDED" in statuses and statuses <= _NOTHING_PAID
