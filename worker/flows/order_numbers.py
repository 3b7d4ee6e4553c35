"""Find the order of a job that names its number: support people have that, not the id.

The search is an index that may lag (W22), and imported orders may share a number (W24).
"""

from __future__ import annotations

from worker.errors import OrderFound
from worker.flows.step import MISSING_LOOKS, Step, Wait
from worker.refund.reasons import end_with


def find_order(step: Step) -> Wait:
    """Wait until Wix shows the order.

    Raises:
        OrderFound: there is exactly one.
        Rejected: there is none, or there are several.
        Buried: Wix shows orders with other numbers, so it does not search as it is documented.
    """
    number = step.refund.request.order_number or ""
    found = step.wix.find_by_number(number)
    if any(order.number != number for order in found):
        raise end_with("answer_unreadable", detail="Wix shows orders with other numbers")
    ids = {order.id for order in found}
    if len(ids) == 1:
        raise OrderFound(ids.pop())
    if ids:
        raise end_with("order_number_ambiguous", detail=f"{len(ids)} orders have it")
    if step.looks + 1 < MISSING_LOOKS:
        why = "Wix does not show an order with this number"
        return step.wait(why, step.next_look_ms, effect_known=True)
    raise end_with("order_number_unknown")
