"""How a job becomes a refund: checked where it enters; a wrong one is kept for a person."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import structlog

from worker.broker import Broker
from worker.events import tell
from worker.ledger import Ledger
from worker.reasons import REASONS
from worker.redaction import redact
from worker.refund import InvalidJob, parse_request
from worker.settlement import Delivery


def take(job: Mapping[str, Any], *, ledger: Ledger, broker: Broker, delivery: Delivery) -> None:
    """Write a job down as a refund, once."""
    try:
        request = parse_request(job)
    except InvalidJob as error:
        _quarantine(broker, delivery, "invalid_job", job, {"problems": redact(error.problems)})
        tell("refund.invalid", problems=error.problems)
        return
    structlog.contextvars.bind_contextvars(store_id=request.store_id, order_id=request.order_id)
    verdict = ledger.accept(request, delivery)
    tell(f"refund.{verdict}")
    if verdict == "conflict":
        _quarantine(broker, delivery, "conflict", job, {})


def _quarantine(
    broker: Broker, delivery: Delivery, reason: str, job: Mapping[str, Any], more: dict[str, Any]
) -> None:
    letter = {
        "reason": reason,
        "sentence": REASONS[reason].meaning,
        "job": redact(dict(job)),
    } | more
    broker.quarantine(delivery.queue, delivery.message_id, letter)
