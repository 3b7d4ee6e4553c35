"""The parts of Wix's answers about payments and refunds that we read.

Their fields are described in W50 to W75.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from decimal import Decimal
from typing import Any

from worker.wix.models import Answer, Lenient, Moment, Price, needed


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


class Chargeback(Answer):
    """What the buyer's bank took back of a payment: APPROVED, or REVERSED again."""

    amount: Price
    status: str


class RegularPayment(Answer):
    """A payment that is neither a gift card nor a membership."""

    status: Lenient[str] = None
    payment_method: Lenient[str] = None
    authorization_details: Lenient[Authorization] = None
    chargebacks: Lenient[tuple[Chargeback, ...]] = ()


class Payment(Answer):
    """One payment of an order. W50."""

    id: str
    amount: Lenient[Price] = None
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
    def provider(self) -> str:
        """Who took it, in Wix's words for a method of payment; "" if Wix does not say."""
        if self.giftcard_payment_details is not None:
            return "gift card"
        if self.membership_payment_details is not None:
            return "membership"
        regular = self.regular_payment_details
        return (regular.payment_method if regular else None) or ""

    @property
    def charged_back(self) -> Decimal | None:
        """What the buyer's bank has taken back; None if Wix does not say. W52."""
        found = self.regular_payment_details.chargebacks if self.regular_payment_details else ()
        if found is None or any(c.status not in {"APPROVED", "REVERSED"} for c in found):
            return None
        return sum((c.amount.amount for c in found if c.status == "APPROVED"), Decimal(0))

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


class OrderTransactions(Transactions):
    """Payments and refunds of one of several orders."""

    order_id: str


class TransactionsOfOrders(Answer):
    """The answer of listing the transactions of several orders; one may be unreadable. W54."""

    order_transactions: tuple[Lenient[OrderTransactions], ...]


class TransactionsAnswer(Answer):
    """The answer of listTransactions; possibly `{}` for an unknown order. W34."""

    order_transactions: Transactions


class VoidAnswer(Answer):
    """The answer of voidAuthorizedPayments; the transactions are listed again later.

    That the field is there tells the answer from an error.
    """

    order_transactions: dict[str, Any]


#: Statuses of payments that have nothing to refund. W50.
NOTHING_PAID = frozenset({"VOIDED", "CANCELED", "DECLINED", "PENDING", "PENDING_MERCHANT"})


def is_voided(payments: Iterable[Payment]) -> bool:
    """Whether an authorization was voided and nothing else was paid."""
    statuses = {payment.effective_status for payment in payments}
    return "VOIDED" in statuses and statuses <= NOTHING_PAID
