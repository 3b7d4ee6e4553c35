"""What upstream services import: it puts refund jobs on the queue."""

from __future__ import annotations

import uuid
from typing import Any

from dramatiq import Message

from worker.ledger.connection import redis_client
from worker.queue.broker import INTAKE, Broker
from worker.refund.request import RefundRequest, parse_request


class RefundClient:
    """Sends refund jobs.

    >>> RefundClient("redis://localhost:6379/0").request(
    ...     refund_id="rf-1", store_id="<site uuid>", order_id="<order uuid>"
    ... )  # doctest: +SKIP
    """

    def __init__(self, redis_url: str, *, namespace: str = "refunds") -> None:
        self._broker = Broker(redis_client(redis_url), namespace=namespace, middleware=[])

    def request(self, **job: Any) -> str:
        """Check a job, enqueue it, and return its refund_id. Safe to repeat with the same content.

        Raises:
            InvalidJob: the job has a wrong field; nothing was enqueued.
            dramatiq.errors.ConnectionClosed: Redis did not answer; enqueue it again.
        """
        request = parse_request(job)
        enqueue(self._broker, request)
        return request.refund_id


def enqueue(broker: Broker, request: RefundRequest) -> None:
    """Put a checked job on the intake queue."""
    broker.enqueue(
        Message(
            queue_name=INTAKE,
            actor_name="request_refund",
            args=(),
            kwargs=request.model_dump(mode="json", exclude_defaults=True),
            options={},
            message_id=str(uuid.uuid4()),
        )
    )
