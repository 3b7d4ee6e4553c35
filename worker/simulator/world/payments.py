"""The payments of an order."""

from __future__ import annotations

import uuid
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Literal

from worker.simulator.contract.refusals import Json
from worker.simulator.world.money import money


def new_id() -> str:
    """Return a new id, in Wix's format."""
    return str(uuid.uuid4())


@dataclass
class Payment:
    """One payment of an order."""

    amount: Decimal
    id: str = field(default_factory=new_id)
    kind: Literal["card", "gift_card", "membership"] = "card"
    offline: bool = False
    authorized: bool = False
    """Whether it is only authorized: not yet captured or voided."""
    status: str = ""
    """Its status if it was not paid, such as PENDING or DECLINED; any text is accepted."""
    non_refundable: str = ""
    """Why it can never be refunded: a reason of W61."""
    manual: str = ""
    """Why only the merchant can refund it: a reason of W61, such as EXPIRED."""
    provider_link: str = ""
    """Link to the provider, where the merchant can refund it."""
    outcome: str = "SUCCEEDED"
    """The final status of its refunds: SUCCEEDED or FAILED."""
    reason_code: str = "3025"
    """The provider's code if that is FAILED; 3025 means insufficient funds. W68."""
    chargeback: Decimal = Decimal(0)
    """How much the buyer's bank charged back."""
    method: str = ""
    created_date: str = ""
    void: Json = field(default_factory=dict)
    captures: list[Json] = field(default_factory=list)
    voided: bool = False
    extra: Json = field(default_factory=dict)
    """Fields that override those of the answer."""

    @property
    def is_paid(self) -> bool:
        """Whether it was paid."""
        return not (self.authorized or self.status or self.voided)

    @property
    def is_whole_only(self) -> bool:
        """Whether it can only be refunded in full, as gift cards and memberships. W51."""
        return self.kind != "card"

    @property
    def shown_method(self) -> str:
        """The value of `paymentMethod`."""
        kinds = {"card": "CreditCard", "gift_card": "GiftCard", "membership": "Membership"}
        return self.method or ("Offline" if self.offline else kinds[self.kind])

    def shown_status(self, refunded: Decimal) -> str:
        """Return the value of `payment.status`."""
        if self.voided or (self.is_whole_only and refunded):
            return "VOIDED"
        if self.authorized:
            return "AUTHORIZED"
        if self.status:
            return self.status
        if refunded:
            return "REFUNDED" if refunded >= self.amount else "PARTIALLY_REFUNDED"
        return "APPROVED"

    def wire(self, refunded: Decimal, currency: str) -> Json:
        """Return the payment as in the answer to listTransactions."""
        status = self.shown_status(refunded)
        name, details = self._details(status, currency)
        return {
            "id": self.id,
            "createdDate": self.created_date,
            "updatedDate": self.created_date,
            "amount": money(self.amount, currency),
            "refundDisabled": self.non_refundable == "DISABLED_BY_PROVIDER",
            "status": status,
            name: details,
            **self.extra,
        }

    def _details(self, status: str, currency: str) -> tuple[str, Json]:
        voided = status == "VOIDED"
        if self.kind == "gift_card":
            card = {"giftCardPaymentId": self.id, "appId": self.id, "voided": voided}
            return "giftcardPaymentDetails", card
        if self.kind == "membership":
            words = {"id": self.id, "status": "CHARGED", "voided": voided}
            name = {"name": {"original": "Plan"}, "providerAppId": self.id, "lineItemId": self.id}
            return "membershipPaymentDetails", {"membershipId": self.id, **words, **name}
        details: Json = {
            "offlinePayment": self.offline,
            "paymentMethod": self.shown_method,
            "status": status,
            "chargebacks": self._chargebacks(currency),
        }
        if not self.offline:
            details |= {"gatewayTransactionId": f"g-{self.id}", "providerTransactionId": "ch_1"}
            details["creditCardDetails"] = {"lastFourDigits": "4242", "brand": "Visa"}
        if self.authorized or self.void or self.captures:
            details["authorizationDetails"] = {
                "delayedCapture": True,
                "captures": [_public(capture) for capture in self.captures],
                **({"void": _public(self.void)} if self.void else {}),
            }
        return "regularPaymentDetails", details

    def _chargebacks(self, currency: str) -> list[Json]:
        if not self.chargeback:
            return []
        amount = money(self.chargeback, currency)
        return [{"id": self.id, "amount": amount, "status": "APPROVED"}]


def _public(book: Json) -> Json:
    """Return it without the fields that only the simulator uses."""
    return {name: value for name, value in book.items() if not name.startswith("_")}
