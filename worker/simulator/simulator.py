"""The simulator: stores, orders, books and scripted faults behind a WSGI callable."""

from __future__ import annotations

import copy
import threading
import time
import uuid
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import Any

from worker.simulator.faults import Fault
from worker.simulator.flags import Flags
from worker.simulator.orders import Json, Order, Payment
from worker.simulator.rules import MUTATING, RULES, Call, Refusal, advance


def _wall_ms() -> int:
    return time.time_ns() // 1_000_000


@dataclass
class Simulator:
    """Wix in memory. Every public method may be called from any thread."""

    flags: Flags = field(default_factory=Flags)
    clock_ms: Callable[[], int] = _wall_ms
    stores: dict[str, str] = field(default_factory=dict)
    orders: dict[str, Order] = field(default_factory=dict)
    faults: list[Fault] = field(default_factory=list)
    calls: list[Json] = field(default_factory=list)
    unlisted: list[str] = field(default_factory=list)
    lock: threading.RLock = field(default_factory=threading.RLock)
    _before: dict[str, tuple[int, Order]] = field(default_factory=dict)

    def add_store(self, site_id: str | None = None, api_key: str = "IST.simulator") -> str:
        """Open a store; the same call with another key replaces the key."""
        site_id = site_id or str(uuid.uuid4())
        with self.lock:
            self.stores[site_id] = api_key
        return site_id

    def add_order(
        self,
        site_id: str,
        *,
        created_date: str,
        order_id: str | None = None,
        amounts: Iterable[str] = ("101.40",),
        fulfillments: int = 0,
        **more: Any,
    ) -> Order:
        """Place an order with one payment for each amount and so many fulfillments of one line."""
        lines = [str(uuid.uuid4()) for _ in range(max(1, fulfillments))]
        order = Order(
            id=order_id or str(uuid.uuid4()),
            site_id=site_id,
            created_date=created_date,
            line_ids=lines,
            payments=[Payment(Decimal(amount)) for amount in amounts],
            **more,
        )
        with self.lock:
            self.orders[order.id] = order
            for line in lines[:fulfillments]:
                self.merchant_fulfills(order.id, line)
        return order

    def merchant_fulfills(self, order_id: str, line_id: str | None = None) -> None:
        """The merchant ships one line (the first when none is named)."""
        with self.lock:
            order = self.orders[order_id]
            line = {"id": line_id or order.line_ids[0], "quantity": 1}
            tracking = {"trackingNumber": str(len(order.fulfillments)), "shippingProvider": "ups"}
            order.fulfillments.append(
                {"id": str(uuid.uuid4()), "lineItems": [line], "trackingInfo": tracking}
            )

    def merchant_cancels(self, order_id: str) -> None:
        """The merchant cancels in the dashboard."""
        with self.lock:
            self.orders[order_id].status = "CANCELED"

    def merchant_refunds(self, order_id: str, reason: str = "") -> None:
        """The merchant refunds everything in the dashboard."""
        with self.lock:
            order = self.orders[order_id]
            parts = [{"paymentId": payment.id} for payment in order.payments]
            self._rule("submit_refund", order, {"paymentRefunds": parts, "customerReason": reason})

    def script(self, *faults: Fault) -> None:
        """Let these go wrong, each as often as it says."""
        with self.lock:
            self.faults.extend(faults)

    def clear_faults(self) -> None:
        """Repair everything."""
        with self.lock:
            self.faults.clear()

    def set_flags(self, **flags: Any) -> None:
        """Change some of the unknowns."""
        with self.lock:
            self.flags = replace(self.flags, **flags)

    def take_fault(self, endpoint: str, order_id: str) -> Fault | None:
        """The fault of this call, used up by one."""
        with self.lock:
            for fault in self.faults:
                if fault.hits(endpoint, order_id):
                    fault.times -= 1
                    return fault
        return None

    def answer(
        self, endpoint: str, order_id: str, body: Json, fulfillment_id: str, *, consistent: bool
    ) -> Json:
        """Do one call by its rule.

        Raises:
            Refusal: every answer other than 200.
        """
        with self.lock:
            order = self.orders.get(order_id)
            if order is None and endpoint == "list_transactions":
                if self.flags.unknown_transactions == "empty":
                    return {}
                raise Refusal(404)
            if order is None:
                raise Refusal(404, "ORDER_NOT_FOUND")
            if endpoint not in MUTATING and not consistent:
                order = self._as_read(order)
            return self._rule(endpoint, order, body, fulfillment_id)

    def _as_read(self, order: Order) -> Order:
        """What a reader without the token sees: perhaps the order as it was."""
        changed_ms, before = self._before.get(order.id, (0, order))
        fresh = self.clock_ms() >= changed_ms + self.flags.stale_ms
        return order if fresh else before

    def _rule(self, endpoint: str, order: Order, body: Json, fulfillment_id: str = "") -> Json:
        now_ms = self.clock_ms()
        advance(order, self.flags, now_ms)
        before = copy.deepcopy(order) if self.flags.stale_ms and endpoint in MUTATING else None
        answer = RULES[endpoint](Call(order, body, fulfillment_id, self.flags, now_ms))
        if before:
            self._before[order.id] = (now_ms, before)
        return answer

    def note_call(self, endpoint: str, order_id: str, status: int) -> None:
        """Write one call into the books; status 0 when the connection was dropped."""
        with self.lock:
            self.calls.append({"endpoint": endpoint, "order_id": order_id, "status": status})

    def books(self) -> Json:
        """The truth: what was done to every order, as JSON."""
        with self.lock:
            per_order: dict[str, dict[str, int]] = {}
            for call in self.calls:
                counts = per_order.setdefault(call["order_id"], {})
                counts[call["endpoint"]] = counts.get(call["endpoint"], 0) + 1
            for order in self.orders.values():
                advance(order, self.flags, self.clock_ms())
            orders: dict[str, Json] = {
                order.id: {
                    "status": order.status,
                    "fulfillment_status": order.fulfillment_status,
                    "payment_status": order.payment_status,
                    "cancellations": order.cancellations,
                    "paid": str(sum((p.amount for p in order.payments), Decimal(0))),
                    "refunded": str(
                        sum((order.refunded(p.id) for p in order.payments), Decimal(0))
                    ),
                    "refunds": copy.deepcopy(order.refunds),
                }
                for order in self.orders.values()
            }
            return {
                "orders": orders,
                "calls": len(self.calls),
                "calls_per_order": per_order,
                "refunds_per_order": {i: len(o["refunds"]) for i, o in orders.items()},
                "cancelled_orders": [i for i, o in orders.items() if o["status"] == "CANCELED"],
                "unlisted_calls": list(self.unlisted),
            }
