"""Orders as Wix keeps them, and how its derived fields follow."""

from __future__ import annotations

import uuid
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

Json = dict[str, Any]


def money(amount: Decimal) -> Json:
    """A Price on the wire."""
    return {"amount": f"{amount:f}", "formattedAmount": f"${amount:.2f}"}


@dataclass
class Payment:
    """One payment of an order."""

    amount: Decimal
    id: str = field(default_factory=lambda: str(uuid.uuid4()))
    offline: bool = False
    authorized: bool = False
    non_refundable: str = ""
    """A reason of 2.13, when the provider refuses for good."""
    outcome: str = "SUCCEEDED"
    """How the provider ends a refund of it."""

    def wire(self, refunded: Decimal) -> Json:
        """As listTransactions shows it."""
        status = "AUTHORIZED" if self.authorized else "APPROVED"
        if refunded:
            status = "REFUNDED" if refunded >= self.amount else "PARTIALLY_REFUNDED"
        details = {"offlinePayment": self.offline, "paymentMethod": "CreditCard", "status": status}
        return {
            "id": self.id,
            "amount": money(self.amount),
            "refundDisabled": False,
            "status": status,
            "regularPaymentDetails": details,
        }


@dataclass
class Order:
    """One order with everything that hangs on it."""

    id: str
    site_id: str
    created_date: str
    line_ids: list[str]
    payments: list[Payment]
    currency: str = "USD"
    status: str = "APPROVED"
    fulfillments: list[Json] = field(default_factory=list)
    marked_fulfilled: bool = False
    """Fulfilled by hand or automatically: without any fulfillment."""
    refunds: list[Json] = field(default_factory=list)
    activities: list[str] = field(default_factory=list)
    cancellations: int = 0
    email: str = "buyer@example.com"
    lags_until_ms: int = 0
    lagging_status: str = ""

    @property
    def fulfillment_status(self) -> str:
        """Derived from what is fulfilled. Source: 2.7 [I]."""
        if self.marked_fulfilled:
            return "FULFILLED"
        covered = {line["id"] for f in self.fulfillments for line in f["lineItems"]}
        if not covered:
            return "NOT_FULFILLED"
        return "FULFILLED" if covered >= set(self.line_ids) else "PARTIALLY_FULFILLED"

    def moved(self, payment_id: str, statuses: set[str]) -> Decimal:
        """The sum of this payment's refund transactions in one of *statuses*."""
        return sum(
            (
                Decimal(t["amount"]["amount"])
                for refund in self.refunds
                for t in refund["transactions"]
                if t["paymentId"] == payment_id and t["refundStatus"] in statuses
            ),
            Decimal(0),
        )

    def pending(self, payment_id: str) -> Decimal:
        """What is on its way to the buyer."""
        return self.moved(payment_id, {"SCHEDULED", "STARTED", "PENDING"})

    def refunded(self, payment_id: str) -> Decimal:
        """What went back to the buyer."""
        return self.moved(payment_id, {"SUCCEEDED"})

    @property
    def payment_status(self) -> str:
        """Derived from the refunds; a cancel does not change it. Source: 6.1 [I]."""
        back = sum((self.refunded(p.id) for p in self.payments), Decimal(0))
        if not back:
            return "PAID"
        paid = sum((p.amount for p in self.payments), Decimal(0))
        return "FULLY_REFUNDED" if back >= paid else "PARTIALLY_REFUNDED"

    def wire(self, now_ms: int) -> Json:
        """As getOrder shows it."""
        total = money(sum((p.amount for p in self.payments), Decimal(0)))
        lags = now_ms < self.lags_until_ms
        return {
            "id": self.id,
            "number": str(10_000 + len(self.id)),
            "createdDate": self.created_date,
            "status": self.status,
            "paymentStatus": self.payment_status,
            "fulfillmentStatus": self.lagging_status if lags else self.fulfillment_status,
            "archived": False,
            "currency": self.currency,
            "buyerInfo": {"email": self.email},
            "lineItems": [{"id": line, "quantity": 1} for line in self.line_ids],
            "priceSummary": {"total": total},
            "activities": [{"activityType": kind} for kind in self.activities],
        }

    def wire_fulfillments(self) -> Json:
        """As listing and deleting fulfillments answer."""
        return {
            "orderWithFulfillments": {"orderId": self.id, "fulfillments": list(self.fulfillments)}
        }

    def wire_transactions(self) -> Json:
        """As listTransactions answers."""
        payments = [p.wire(self.refunded(p.id)) for p in self.payments]
        inner = {"orderId": self.id, "payments": payments, "refunds": self.refunds}
        return {"orderTransactions": inner}
