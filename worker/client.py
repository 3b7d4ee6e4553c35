"""What upstream services import inside the worker's environment; others install its wheel."""

from __future__ import annotations

from typing import TYPE_CHECKING

from worker.upstream import AsyncRefundQueue, InvalidJob, RefundQueue
from worker.upstream.invalid import escaped
from worker.upstream.wire import INTAKE, Message, message_of

if TYPE_CHECKING:
    from worker.queue.broker import Broker
    from worker.refund.request import RefundRequest
    from worker.upstream.signing import Signer

#: The name of `RefundQueue` before it had a wheel of its own.
RefundClient = RefundQueue

__all__ = [
    "AsyncRefundQueue",
    "InvalidJob",
    "RefundClient",
    "RefundQueue",
    "enqueue",
    "signed_message",
]


def enqueue(broker: Broker, request: RefundRequest, signer: Signer | None = None) -> None:
    """Put a checked job on the intake queue, signed if there is a *signer*.

    Raises:
        dramatiq.errors.ConnectionClosed: Redis did not answer.
    """
    message = signed_message(request, signer)
    broker.put(INTAKE, message.place, message.text, own_id=message.own_id)


def signed_message(request: RefundRequest, signer: Signer | None) -> Message:
    """Return the message of a checked job, signed if there is a *signer*."""
    left_out = {"order_id"} if request.known_order_id is None else None
    fields = request.model_dump(mode="json", exclude_defaults=True, exclude=left_out)
    signature = escaped(signer.sign(fields)) if signer else ""
    return message_of(request.refund_id, escaped(fields), signature)
