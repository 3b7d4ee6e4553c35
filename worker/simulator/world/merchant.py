"""What merchants, payment providers and banks do, independently of the worker."""

from __future__ import annotations

from decimal import Decimal

from worker.simulator.contract.refusals import Json
from worker.simulator.script.reading import InvalidInput
from worker.simulator.world.money import money
from worker.simulator.world.orders import Order, max_refund
from worker.simulator.world.payments import new_id
from worker.simulator.world.placing import shipment
from worker.simulator.world.provider import advance, first_status, iso, set_canceled, settle
from worker.simulator.world.views import refund_wire
from worker.simulator.world.world import World


class Merchant(World):
    """The merchant's actions in the dashboard, and those of payment providers and banks."""

    def _current(self, order_id: str, *, touches: bool = True) -> Order:
        """Return an order that is about to be changed."""
        order = self.order_of(order_id)
        advance(order, self.flags, self.clock_ms())
        if before := self.copy_if_reads_lag(order):
            self._before[order.id] = (self.clock_ms(), before)
        if touches:
            order.updated_date = iso(self.clock_ms())
        return order

    def merchant_fulfills(
        self, order_id: str, line_id: str | None = None, quantity: int | None = None
    ) -> None:
        """Fulfill one line, by default the first; all of its units, or some."""
        with self.lock:
            order = self._current(order_id)
            line = order.line(line_id) if line_id else order.lines[0]
            if line is None:
                raise InvalidInput(f"the order has no line {line_id}")
            item = {"id": line.id, "quantity": quantity or line.quantity}
            made = shipment(order, {"lineItems": [item]}, len(order.fulfillments))
            order.fulfillments.append(made | {"createdDate": iso(self.clock_ms())})

    def merchant_marks_fulfilled(self, order_id: str) -> None:
        """Mark the order as fulfilled, which creates no fulfillment. W42."""
        with self.lock:
            self._current(order_id).marked_fulfilled = True

    def merchant_unfulfills(self, order_id: str) -> None:
        """Mark the order as unfulfilled."""
        with self.lock:
            order = self._current(order_id)
            order.marked_fulfilled, order.fulfillments = False, []

    def merchant_cancels(self, order_id: str) -> None:
        """Cancel the order."""
        with self.lock:
            set_canceled(self._current(order_id), self.flags, self.clock_ms())

    def merchant_archives(self, order_id: str) -> None:
        """Archive the order."""
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
        """Refund all payments or one: all that is left, or *amount* of it; returns the refund."""
        with self.lock:
            order = self._current(order_id, touches=self.flags.refund_touches_order)
            left = None if amount is None else Decimal(amount)
            parts = []
            for payment in order.payments:
                most = max_refund(order, payment) if payment.is_paid else Decimal(0)
                share = most if left is None else min(left, most)
                if share <= 0 or payment_id not in {None, payment.id}:
                    continue
                left = None if left is None else left - share
                is_external = external or payment.offline
                parts.append(self._part(order, payment.id, share, external=is_external))
            if not parts:
                raise InvalidInput("nothing is left to refund")
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
        """Void all authorized payments."""
        with self.lock:
            for payment in self._current(order_id).payments:
                if payment.authorized:
                    payment.authorized, payment.voided = False, True

    def merchant_captures(self, order_id: str) -> None:
        """Capture all authorized payments."""
        with self.lock:
            for payment in self._current(order_id).payments:
                payment.authorized = False

    def provider_says(self, order_id: str, status: str, refund_id: str | None = None) -> None:
        """Set the status of a refund, by default the newest; even from SUCCEEDED back to PENDING.

        It no longer changes with time.
        """
        with self.lock:
            order = self._current(order_id)
            refund = next(r for r in reversed(order.refunds) if refund_id in {None, r["id"]})
            for transaction in refund["transactions"]:
                settle(transaction, status, order.payments[0].reason_code)
                transaction["_is_set"] = True

    def bank_charges_back(self, order_id: str, amount: str | None = None) -> None:
        """Charge back the first payment, or *amount* of it."""
        with self.lock:
            order = self._current(order_id)
            payment = order.payments[0]
            payment.chargeback = payment.amount if amount is None else Decimal(amount)
            order.activities.append("CHARGEBACK_CREATED")
