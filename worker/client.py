"""What upstream services import inside the worker's environment; others install its wheel."""

from __future__ import annotations

from typing import TYPE_CHECKING

from worker.upstream import AsyncRefundQueue, InvalidJob, RefundQueue
from worker.upstream.invalid import escaped
from worker.upstream.wire import INTAKE, message_of

if TYPE_CHECKING:
    from worker.queue.broker import Broker
    from worker.refund.request import RefundRequest

#: The name of `RefundQueue` before it had a wheel of its own.
RefundClient = RefundQueue

__all__ = ["AsyncRefundQueue", "InvalidJob", "RefundClient", "RefundQueue", "enqueue"]


def enqueue(broker: Broker, request: RefundRequest) -> None:
    """Put a checked job on the intake queue.

    Raises:
        dramatiq.errors.ConnectionClosed: Redis did not answer.
    """
    fields = request.model_dump(mode="json", exclude_defaults=True)
    message = message_of(request.refund_id, escaped(fields))
    broker.put(INTAKE, message.place, message.text, own_id=message.own_id)
