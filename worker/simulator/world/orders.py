"""Orders, and the fields that Wix derives from others."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from decimal import Decimal

from worker.simulator.contract.refusals import Json
from worker.simulator.world.lines import Fee, Line
from worker.simulator.world.money import total
from worker.simulator.world.payments import Payment

PENDING = frozenset({"SCHEDULED", "STARTED", "PENDING"})


@dataclass
class Order:
    """One order, with its lines, payments, fulfillments and refunds."""

    id: str
    site_id: str
    created_date: str
    lines: list[Line]
    payments: list[Payment]
    number: str = "10001"
    currency: str = "USD"
    status: str = "APPROVED"
    shipping: Decimal | None = None
    fees: list[Fee] = field(default_factory=list)
    discount: Decimal = Decimal(0)
    fulfillments: list[Json] = field(default_factory=list)
    marked_fulfilled: bool = False
    """Whether the merchant marked it as fulfilled, without a fulfillment. W42."""
    refunds: list[Json] = field(default_factory=list)
    activities: list[str] = field(default_factory=list)
    cancellations: int = 0
    email: str = "buyer@example.com"
    archived: bool = False
    imported: bool = False
    purchased_date: str = ""
    updated_date: str = ""
    canceled_date: str = ""
    """When it was cancelled."""
    channel: str = "OTHER_PLATFORM"
    external_id: str = ""
    lags_until_ms: int = 0
    lagging_status: str = ""
    effects: list[str] = field(default_factory=list)
    """The mutating calls that Wix carried out, in order."""
    emails: list[str] = field(default_factory=list)
    """The e-mails that the buyer got."""
    extra: Json = field(default_factory=dict)
    """Fields that override those of the answer, such as unknown enum values or new fields."""

    @property
    def total(self) -> Decimal:
        """The total price."""
        lines = total(line.before_tax + line.tax for line in self.lines)
        fees = total(fee.amount for fee in self.fees)
        return lines + (self.shipping or Decimal(0)) + fees - self.discount

    @property
    def paid(self) -> Decimal:
        """The sum of the payments, whether or not they have been refunded."""
        return total(payment.amount for payment in self.payments if payment.is_paid)

    @property
    def fulfillment_status(self) -> str:
        """Derived from the fulfilled units. W41."""
        if self.marked_fulfilled:
            return "FULFILLED"
        fulfilled = self.fulfilled_units()
        if not fulfilled:
            return "NOT_FULFILLED"
        is_all = all(fulfilled[line.id] >= line.quantity for line in self.lines)
        return "FULFILLED" if is_all else "PARTIALLY_FULFILLED"

    def fulfilled_units(self) -> Counter[str]:
        """Return how many units of each line are in fulfillments."""
        units: Counter[str] = Counter()
        for fulfillment in self.fulfillments:
            for item in fulfillment["lineItems"]:
                units[item["id"]] += item["quantity"]
        return units

    def line(self, line_id: str) -> Line | None:
        """Return a line, None if there is none with this id."""
        return next((line for line in self.lines if line.id == line_id), None)

    def payment(self, payment_id: str) -> Payment | None:
        """Return a payment, None if there is none with this id."""
        return next((payment for payment in self.payments if payment.id == payment_id), None)

    def moved(self, payment_id: str, statuses: frozenset[str]) -> Decimal:
        """Return the sum of a payment's refund transactions that have one of *statuses*."""
        return total(
            Decimal(t["amount"]["amount"])
            for refund in self.refunds
            for t in refund["transactions"]
            if t["paymentId"] == payment_id and t["refundStatus"] in statuses
        )

    def pending(self, payment_id: str) -> Decimal:
        """Return how much of a payment's refunds is pending."""
        return self.moved(payment_id, PENDING)

    def refunded(self, payment_id: str) -> Decimal:
        """Return how much of a payment has been refunded."""
        return self.moved(payment_id, frozenset({"SUCCEEDED"}))

    def refunded_items(self) -> Iterable[Json]:
        """Yield the `details` of all refunds that did not fail."""
        for refund in self.refunds:
            if any(t["refundStatus"] != "FAILED" for t in refund["transactions"]):
                yield refund["details"]

    def refunded_units(self, line_id: str) -> int:
        """Return how many units of a line have been refunded."""
        return sum(
            item["quantity"]
            for details in self.refunded_items()
            for item in details.get("lineItems", [])
            if item["lineItemId"] == line_id
        )

    def refunded_shipping(self) -> Decimal:
        """Return how much of the shipping has been refunded."""
        found = (details.get("shipping") for details in self.refunded_items())
        return total(Decimal(shipping["amount"]["amount"]) for shipping in found if shipping)

    def refunded_fee(self, fee_id: str) -> Decimal:
        """Return how much of a fee has been refunded."""
        return total(
            Decimal(fee["amount"]["amount"])
            for details in self.refunded_items()
            for fee in details.get("additionalFees", [])
            if fee["additionalFeeId"] == fee_id
        )

    @property
    def payment_status(self) -> str:
        """Derived from payments and refunds; cancelling does not change it. W30."""
        back = total(self.refunded(p.id) for p in self.payments)
        if back:
            return "FULLY_REFUNDED" if back >= self.paid else "PARTIALLY_REFUNDED"
        if self.paid >= self.total:
            return "PAID"
        if self.paid:
            return "PARTIALLY_PAID"
        waiting = {payment.status for payment in self.payments if payment.status}
        return next(iter(waiting)) if len(waiting) == 1 else "NOT_PAID"


def max_refund(order: Order, payment: Payment) -> Decimal:
    """Return paid - refunded - pending (documented), less the chargeback (inferred)."""
    gone = order.refunded(payment.id) + order.pending(payment.id) + payment.chargeback
    return max(Decimal(0), payment.amount - gone)
