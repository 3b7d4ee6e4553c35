"""Lets a tracer enclose each step."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Protocol, TypeVar

from statemachine.flows import Transition
from worker.observability.tracing import Tracer
from worker.queue.delivery import Delivery


class HasTracer(Protocol):
    """What runs the steps."""

    @property
    def tracer(self) -> Tracer:
        """Gets what traces are made of."""


Self = TypeVar("Self", bound=HasTracer)
Run = Callable[[Self, Transition, str, Delivery], None]


def traced(run: Run[Self]) -> Run[Self]:
    """Enclose each step that *run* runs."""

    @wraps(run)
    def enclosed(self: Self, transition: Transition, refund_id: str, delivery: Delivery) -> None:
        with self.tracer.step(transition, delivery.queue, delivery.message_id):
            run(self, transition, refund_id, delivery)

    return enclosed
