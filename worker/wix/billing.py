"""What we read of Wix's answers about money: refundability, refunds, payments.

The shapes: W50 to W75.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from decimal import Decimal
from typing import Annotated, Any

from pydantic import AwareDatetime, BeforeValidator, Field

from worker.wix.models import Answer, Price, as_list


class Why(Answer):
    """Why a payment cannot be refunded by Wix, or at all."""

    reason: str = "UNKNOWN_REASON"


class Monetary(Answer):
    """What was paid and what can still go back."""

    max_refund: Price | None = None
    refunded: Price | None = None
    refund_pending: Price | None = None


class RefundablePayment(Answer):
    """Which payment it is; memberships have no monetary part."""

    payment_id: str
    monetary: Monetary | None = None


class PaymentRefundability(Answer):
    """One payment and what Wix can do about it."""

    payment: RefundablePayment
    manually_refundable: Why | None = None
    non_refundable: Why | None = None
    provider_link: str | None = None
    """Where a person finds the payment at its provider."""

    @property
    def max_refund(self) -> Decimal | None:
        """What can still go back; None when it is no money (gift card, membership)."""
        monetary = self.payment.monetary
        return monetary.max_refund.amount if monetary and monetary.max_refund else None

    @property
    def already_returned(self) -> Decimal:
        """What went back already, or is on its way."""
        monetary = self.payment.monetary
        parts = (monetary.refunded, monetary.refund_pending) if monetary else ()
        return sum((part.amount for part in parts if part), Decimal(0))


class LineRefundability(Answer):
    """How many units of a line can still be refunded."""

    line_item_id: str
    available_refund_quantity: int = 0


class Refundability(Answer):
    """The answer of getOrderRefundability."""

    payments: Annotated[tuple[PaymentRefundability, ...], BeforeValidator(as_list)] = ()
    line_items: Annotated[tuple[LineRefundability, ...], BeforeValidator(as_list)] = ()


class CalculationSummary(Answer):
    """What the asked lines, fees and shipping come to."""

    total: Price


class NotAvailable(Answer):
    """Why nothing could be calculated, item by item."""

    errors: Annotated[tuple[dict[str, Any], ...], BeforeValidator(as_list)] = ()

    @property
    def codes(self) -> str:
        """Wix's code of every item's error."""
        inner = [item.get("error") for item in self.errors]
        found = [e.get("applicationError") for e in inner if isinstance(e, dict)]
        return ", ".join(sorted({str(f.get("code")) for f in found if isinstance(f, dict)}))


class Calculation(Answer):
    """The answer of calculateRefund: a refusal comes with 200, too. W62."""

    available: bool = False
    summary: CalculationSummary | None = None
    not_available: NotAvailable | None = None


class RefundTransaction(Answer):
    """A refund's part on one payment."""

    payment_id: str = ""
    amount: Price | None = None
    refund_status: str = ""
    refund_status_info: dict[str, Any] | None = None
    external_refund: bool | None = None
    """Only recorded: the money moves elsewhere."""


class RefundDetails(Answer):
    """What the caller said when it asked for the refund."""

    reason: str | None = None


class WixRefund(Answer):
    """A refund as Wix keeps it."""

    id: str
    created_date: AwareDatetime | None = None
    transactions: Annotated[tuple[RefundTransaction, ...], BeforeValidator(as_list)] = ()
    details: RefundDetails | None = None

    @property
    def reason(self) -> str:
        """Where our fingerprint is looked for."""
        return (self.details.reason if self.details else None) or ""

    @property
    def total(self) -> Decimal:
        """The sum over its payments, in the order's currency."""
        return sum((t.amount.amount for t in self.transactions if t.amount), Decimal(0))

    @property
    def statuses(self) -> tuple[str, ...]:
        """SCHEDULED, STARTED, PENDING, SUCCEEDED or FAILED, one for each payment."""
        return tuple(transaction.refund_status for transaction in self.transactions)

    def sum_of(self, status: str) -> Decimal:
        """The sum of what has this status, in the order's currency."""
        parts = (t.amount for t in self.transactions if t.refund_status == status)
        return sum((part.amount for part in parts if part), Decimal(0))

    def failures(self) -> Iterator[str]:
        """The provider's codes of what failed."""
        for transaction in self.transactions:
            if transaction.refund_status == "FAILED":
                info = transaction.refund_status_info or {}
                yield str(info.get("paymentGatewayReasonCode") or "FAILED")


class RefundAnswer(Answer):
    """The answer of refundPayments."""

    refund: WixRefund


class Void(Answer):
    """How a void of an authorization goes; the words of its status are not documented (unknown)."""

    status: str = ""


class Authorization(Answer):
    """A delayed capture."""

    void: Void | None = None


class RegularPayment(Answer):
    """A payment by card, provider or offline."""

    status: str = ""
    authorization_details: Authorization | None = None


class Payment(Answer):
    """One payment of an order."""

    id: str
    status: str | None = None
    regular_payment_details: RegularPayment | None = None
    giftcard_payment_details: dict[str, Any] | None = None
    membership_payment_details: dict[str, Any] | None = None

    @property
    def effective_status(self) -> str:
        """Its status: the new field first, the deprecated one where that is absent. W50."""
        old = self.regular_payment_details.status if self.regular_payment_details else ""
        return self.status or old

    @property
    def void_status(self) -> str:
        """How its void goes, nothing when none was asked for."""
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
        """What all listed refunds took of a payment, or are about to take."""
        parts = (part for refund in self.refunds for part in refund.transactions)
        mine = (p for p in parts if p.payment_id == payment_id and p.refund_status != "FAILED")
        return sum((part.amount.amount for part in mine if part.amount), Decimal(0))


class TransactionsAnswer(Answer):
    """The answer of listTransactions; `{}` for an unknown order is possible."""

    order_transactions: Transactions = Field(default_factory=Transactions)


#: Payments of which nothing can go back. W50.
_NOTHING_PAID = frozenset({"VOIDED", "CANCELED", "DECLINED", "PENDING", "PENDING_MERCHANT"})


def is_voided(payments: Iterable[Payment]) -> bool:
    """Whether an authorization is void, and nothing was paid beside it."""
    stands = {payment.effective_status for payment in payments}
    return "VOIDED" in stands and stands <= _NOTHING_PAID
