"""Orders whose payments can be refunded without limit.

The real Wix refuses what exceeds a payment, and so would hide a refund that was sent twice.
"""

from __future__ import annotations

from decimal import Decimal

from worker.simulator import Simulator
from worker.simulator.world.orders import Order


class BottomlessOrder(Order):
    """An order that forgets its refunds, so that it can always be refunded."""

    def moved(
        self,
        payment_id: str,  # noqa: ARG002 - the order's signature
        statuses: frozenset[str],  # noqa: ARG002 - see above
    ) -> Decimal:
        """Return 0, whatever was refunded."""
        return Decimal(0)


def bottomless(simulator: Simulator, order: Order) -> Order:
    """Replace an order by one that can be refunded without limit; returns the new one."""
    with simulator.lock:
        made = simulator.orders[order.id] = BottomlessOrder(**vars(order))
    return made
