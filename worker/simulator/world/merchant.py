"""What the merchant, the provider and the bank do by themselves, whatever the worker does."""

from __future__ import annotations

from decimal import Decimal

from worker.simulator.contract.refusals import Json
from worker.simulator.world.money import money
from worker.simulator.world.orders import Order, max_refund
from worker.simulator.world.payments import new_id
from worker.simulator.world.placing import shipment
from worker.simulator.world.provider import advance, first_status, iso, settle
from worker.simulator.world.views import refund_wire
from worker.simulator.world.world import World


class Merchant(World):
    """Clicks in the dashboard. Every action says what happened, in Wix's own shapes."""

    def _current(self, order_id: str) -> Order:
        order = self.orders[order_id]
        advance(order, self.flags, self.clock_ms())
        return order

    def merchant_fulfills(
        self, order_id: str, line_id: str | None = None, quantity: int | None = None
    ) -> None:
        """Ship one line (the first when none is named), all of its units or some."""
        with self.lock:
            order = self._current(order_id)
            line = order.line(line_id) if line_id else order.lines[0]
            if line is None:
                raise ValueError(f"the order has no line {line_id}")
            item = {"id": line.id, "quantity": quantity or line.quantity}
            made = shipment(order, {"lineItems": [item]}, len(order.fulfillments))
            order.fulfillments.append(made | {"createdDate": iso(self.clock_ms())})

    def merchant_marks_fulfilled(self, order_id: str) -> None:
        """Mark it as fulfilled by hand: no fulfillment appears. W42."""
        with self.lock:
            self._current(order_id).marked_fulfilled = True

    def merchant_unfulfills(self, order_id: str) -> None:
        """Mark it as unfulfilled by hand."""
        with self.lock:
            order = self._current(order_id)
            order.marked_fulfilled, order.fulfillments = False, []

    def merchant_cancels(self, order_id: str) -> None:
        """Cancel it."""
        with self.lock:
            self._current(order_id).status = "CANCELED"

    def merchant_archives(self, order_id: str) -> None:
        """Put it into the archive."""
        with self.lock:
            self._current(order_id).archived = True

    def merchant_refunds(
        self,
        order_id: str,
        reason: str = "",
        amount: str | None = None,
        payment_id: str | None = None,
        external: bool = False,  # noqa: FBT001, FBT002 - also called by name from JSON
    ) -> Json:
        """Refund all that is left, or *amount* of it, of all payments or of one."""
        with self.lock:
            order = self._current(order_id)
            left = None if amount is None else Decimal(amount)
            parts = []
            for payment in order.payments:
                most = max_refund(order, payment) if payment.is_paid else Decimal(0)
                share = most if left is None else min(left, most)
                if share <= 0 or payment_id not in {None, payment.id}:
                    continue
                left = None if left is None else left - share
                by_hand = external or payment.offline
                parts.append(self._part(order, payment.id, share, external=by_hand))
            refund: Json = {
                "id": new_id(),
                "createdDate": iso(self.clock_ms()),
                "_created_ms": self.clock_ms(),
                "transactions": parts,
                "details": {"reason": reason, "lineItems": [], "shippingIncluded": False},
            }
            order.refunds.append(refund)
            return refund_wire(refund, order.currency)

    def _part(self, order: Order, payment_id: str, amount: Decimal, *, external: bool) -> Json:
        return {
            "paymentId": payment_id,
            "amount": money(amount, order.currency),
            "refundStatus": first_status(self.flags, external=external),
            "externalRefund": external,
        }

    def merchant_voids(self, order_id: str) -> None:
        """Give up the authorizations."""
        with self.lock:
            for payment in self._current(order_id).payments:
                if payment.authorized:
                    payment.authorized, payment.voided = False, True

    def merchant_captures(self, order_id: str) -> None:
        """Capture the authorizations."""
        with self.lock:
            for payment in self._current(order_id).payments:
                payment.authorized = False

    def provider_says(self, order_id: str, status: str, refund_id: str | None = None) -> None:
        """Give the newest refund (or this one) a status, even back from SUCCEEDED to PENDING.

        The clock leaves it alone from then on.
        """
        with self.lock:
            order = self._current(order_id)
            refund = next(r for r in reversed(order.refunds) if refund_id in {None, r["id"]})
            for transaction in refund["transactions"]:
                settle(transaction, status, order.payments[0].reason_code)
                transaction["_by_hand"] = True

    def bank_charges_back(self, order_id: str, amount: str | None = None) -> None:
        """The buyer's bank takes the first payment back, or *amount* of it."""
        with self.lock:
            order = self._current(order_id)
            payment = order.payments[0]
            payment.chargeback = payment.amount if amount is None else Decimal(amount)
            order.activities.append("CHARGEBACK_CREATED")
