"""The refunds that run under faults: an order, its job, and what Wix must have done, each once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any, NamedTuple

from statemachine.flows import State
from tests.chaos.bottomless import bottomless
from tests.support.rig import AFTER, BEFORE, STORE_ID
from worker.simulator import Fault, Simulator
from worker.simulator.world.orders import Order


class Scene(NamedTuple):
    """One kind of refund: its order, its job, and its expected end."""

    order: Mapping[str, Any]
    """The arguments of `Simulator.add_order`."""
    effects: tuple[str, ...]
    """The mutating calls that Wix must have carried out, no more and no fewer."""
    ends: State
    job: Mapping[str, Any] = {}
    """The fields of the job in addition to its ids."""
    refuses: str = ""
    """The endpoint that Wix always refuses."""
    environ: Mapping[str, str] = {}
    """The settings that the worker needs for it."""

    def stage(
        self, simulator: Simulator, store_id: str = STORE_ID, order_id: str | None = None
    ) -> Order:
        """Place the order, which can be refunded without limit."""
        order = simulator.add_order(store_id, order_id=order_id, **self.order)
        order = bottomless(simulator, order)
        if self.refuses:
            never = Fault("status", self.refuses, status=428, code="NOT_TODAY", times=1_000_000)
            simulator.script(never)
        return order

    def missing(self, order: Order) -> Counter[str]:
        """Return what Wix should have done but has not."""
        return Counter(self.effects) - Counter(order.effects)

    def surplus(self, order: Order) -> Counter[str]:
        """Return what Wix did but should not have, or did too often."""
        return Counter(order.effects) - Counter(self.effects)


SCENES: Mapping[str, Scene] = {
    "cancellation": Scene(
        {"created_date": BEFORE, "fulfillments": 2},
        ("delete_fulfillment", "delete_fulfillment", "cancel_order"),
        State.CANCELLED,
    ),
    "cancellation, authorized only": Scene(
        {"created_date": BEFORE, "payments": [{"amount": "20.00", "authorized": True}]},
        ("void_payments", "cancel_order"),
        State.CANCELLED,
    ),
    "cancellation, refused": Scene(
        {"created_date": BEFORE, "fulfillments": 1},
        ("delete_fulfillment", "create_fulfillment"),
        State.DEAD,
        refuses="cancel_order",
    ),
    "cancellation, refunded first": Scene(
        {
            "created_date": BEFORE,
            "fulfillments": 1,
            "payments": [{"amount": "10.00"}, {"amount": "20.00", "authorized": True}],
        },
        ("submit_refund", "delete_fulfillment", "void_payments", "cancel_order"),
        State.CANCELLED,
        environ={"REFUNDS_CANCELLATION_REFUNDABLE": "refund_then_cancel"},
    ),
    "standard": Scene({"created_date": AFTER}, ("submit_refund",), State.REFUNDED),
    "standard, a part of two payments": Scene(
        {"created_date": AFTER, "payments": [{"amount": "10.00"}, {"amount": "20.00"}]},
        ("submit_refund",),
        State.REFUNDED,
        {"amount": "15.00", "currency": "USD"},
    ),
}
