"""Refunds of an old order before it is cancelled: its worker, and what upstream is told."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from tests.support.rig import Rig
from worker.refund.outcomes import read
from worker.simulator import Fault
from worker.simulator.world.orders import Order


@dataclass
class NthCall(Fault):
    """A fault of the nth call only."""

    nth: int = 1

    def hits(self, endpoint: str, order_id: str) -> bool:
        """Count the calls that it could hit."""
        if not super().hits(endpoint, order_id):
            return False
        self.nth -= 1
        return not self.nth


def with_setting(rig: Rig, wanted: str) -> Rig:
    """Return a worker on the same ledger that does something else with refundable orders."""
    settings = rig.settings.model_copy(update={"cancellation_refundable": wanted})
    return Rig(settings, rig.simulator)


def last_told(rig: Rig, refund_id: str) -> dict[str, Any]:
    """Return what upstream reads last of a refund."""
    events = [event for _, event in read(rig.redis, rig.settings.namespace)]
    data: dict[str, Any] = [e["data"] for e in events if e["subject"] == refund_id][-1]
    return data


def sums_told(rig: Rig, refund_id: str) -> tuple[str, str]:
    """Return what Wix moved, and what is left to pay back, as upstream reads it."""
    told = last_told(rig, refund_id)
    return told["moved_by_wix"]["amount"], told["to_pay_back"]["amount"]


def moved(order: Order) -> list[str]:
    """Return the amounts that left a payment, as Wix has recorded them."""
    parts = [part for refund in order.refunds for part in refund["transactions"]]
    return [part["amount"]["amount"] for part in parts if part["refundStatus"] != "FAILED"]
