"""What we read of Wix's answers: permissive, because documented fields may be absent.

Source of the shapes: wix-api.md 2.1, 2.13, 2.15, 3 [D].
"""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from typing import Annotated, Any

from pydantic import AwareDatetime, BaseModel, BeforeValidator, ConfigDict, Field
from pydantic.alias_generators import to_camel


def _list(value: Any) -> Any:
    return [] if value is None else value


class _Answer(BaseModel):
    model_config = ConfigDict(
        frozen=True, extra="ignore", alias_generator=to_camel, populate_by_name=True
    )


class Price(_Answer):
    """An amount of money; its currency is the order's."""

    amount: Decimal = Field(ge=0)


class Order(_Answer):
    """An order, as far as a refund needs it."""

    id: str
    created_date: AwareDatetime
    status: str
    fulfillment_status: str = ""
    payment_status: str = ""
    currency: str = ""

    @property
    def is_cancelled(self) -> bool:
        """Whether Wix shows it cancelled, which is final."""
        return self.status == "CANCELED"

    @property
    def is_unfulfilled(self) -> bool:
        """Whether nothing of it is fulfilled, as far as Wix says."""
        return self.fulfillment_status in {"NOT_FULFILLED", ""}


class OrderAnswer(_Answer):
    """The answer of getOrder and cancelOrder."""

    order: Order


class FulfillmentLine(_Answer):
    """Units of one line."""

    id: str
    quantity: int | None = None


class Fulfillment(_Answer):
    """A shipment; kept before it is deleted, because nothing else can bring it back."""

    id: str
    line_items: Annotated[tuple[FulfillmentLine, ...], BeforeValidator(_list)] = ()
    tracking_info: dict[str, Any] | None = None


class OrderWithFulfillments(_Answer):
    """All fulfillments of one order."""

    fulfillments: Annotated[tuple[Fulfillment, ...], BeforeValidator(_list)] = ()


class FulfillmentsAnswer(_Answer):
    """The answer of listing and deleting."""

    order_with_fulfillments: OrderWithFulfillments


class Why(_Answer):
    """Why a payment cannot be refunded by Wix, or at all."""

    reason: str = "UNKNOWN_REASON"


class Monetary(_Answer):
    """What was paid and what can still go back."""

    max_refund: Price | None = None


class RefundablePayment(_Answer):
    """Which payment it is; gift cards and memberships have no monetary part."""

    payment_id: str
    monetary: Monetary | None = None


class PaymentRefundability(_Answer):
    """One payment and what Wix can do about it."""

    payment: RefundablePayment
    refundable: bool = False
    manually_refundable: Why | None = None
    non_refundable: Why | None = None

    @property
    def max_refund(self) -> Decimal | None:
        """What can still go back; None when it is no money (gift card, membership)."""
        monetary = self.payment.monetary
        return monetary.max_refund.amount if monetary and monetary.max_refund else None


class Refundability(_Answer):
    """The answer of getOrderRefundability."""

    payments: Annotated[tuple[PaymentRefundability, ...], BeforeValidator(_list)] = ()


class RefundTransaction(_Answer):
    """A refund's part on one payment."""

    payment_id: str = ""
    amount: Price | None = None
    refund_status: str = ""
    refund_status_info: dict[str, Any] | None = None


class RefundDetails(_Answer):
    """What the caller said when it asked for the refund."""

    reason: str | None = None


class WixRefund(_Answer):
    """A refund as Wix keeps it."""

    id: str
    created_date: AwareDatetime | None = None
    transactions: Annotated[tuple[RefundTransaction, ...], BeforeValidator(_list)] = ()
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

    def failures(self) -> Iterator[str]:
        """The provider's codes of what failed."""
        for transaction in self.transactions:
            if transaction.refund_status == "FAILED":
                info = transaction.refund_status_info or {}
                yield str(info.get("paymentGatewayReasonCode") or "FAILED")


class RefundAnswer(_Answer):
    """The answer of refundPayments."""

    refund: WixRefund


class Transactions(_Answer):
    """Payments and refunds of one order."""

    refunds: Annotated[tuple[WixRefund, ...], BeforeValidator(_list)] = ()


class TransactionsAnswer(_Answer):
    """The answer of listTransactions; `{}` for an unknown order is possible. Source: 3 [U]."""

    order_transactions: Transactions = Field(default_factory=Transactions)
