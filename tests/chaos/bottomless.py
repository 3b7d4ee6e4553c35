"""Orders whose payments are never used up: a Wix that pays as often as it is asked.

The real one refuses what exceeds a payment, and so hides a refund that was sent twice.
"""

from __future__ import annotations

from decimal import Decimal

from worker.simulator import Simulator
from worker.simulator.world.orders import Order


class BottomlessOrder(Order):
    """Never forgets to pay."""

    def moved(
        self,
        payment_id: str,  # noqa: ARG002 - the order's signature
        statuses: frozenset[str],  # noqa: ARG002 - see above
    ) -> Decimal:
        """Nothing, whatever was refunded."""
        return Decimal(0)


def bottomless(simulator: Simulator, order: Order) -> Order:
    """Put a bottomless order in the place of this one; gives the new one."""
    with simulator.lock:
        made = simulator.orders[order.id] = BottomlessOrder(**vars(order))
    return made
