"""A job becomes a refund, or a dead letter."""

from __future__ import annotations

import json
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import structlog

from worker.ledger.refunds import Ledger
from worker.observability.events import log_event
from worker.observability.redaction import redact
from worker.queue.broker import MAX_LETTER, Broker
from worker.queue.delivery import Delivery
from worker.refund.reasons import REASONS
from worker.refund.request import InvalidJob, parse_request

#: The log event of each answer of the ledger.
ACCEPT_EVENTS: Mapping[str, str] = MappingProxyType(
    {
        "accepted": "refund.accepted",
        "duplicate": "refund.duplicate",
        "conflict": "refund.conflict",
    }
)


def take(job: Mapping[str, Any], *, ledger: Ledger, broker: Broker, delivery: Delivery) -> None:
    """Check a job and record it as a refund, once; an invalid one becomes a dead letter."""
    try:
        request = parse_request(job, malformed=delivery.problems)
    except InvalidJob as error:
        _quarantine(broker, delivery, "invalid_job", job, {"problems": redact(error.problems)})
        log_event("refund.invalid", problems=error.problems)
        return
    structlog.contextvars.bind_contextvars(store_id=request.store_id, order_id=request.order_id)
    status = ledger.accept(request, delivery)
    if status == "conflict" and (digest := ledger.masked_digest(request)):
        status = ledger.accept(request, delivery, digest=digest)
    due = {"due_at_ms": delivery.due_at_ms} if delivery.due_at_ms else {}
    log_event(ACCEPT_EVENTS[status], **(due if status == "accepted" else {}))
    if status == "conflict":
        _quarantine(broker, delivery, "conflict", job, {})


def _quarantine(
    broker: Broker, delivery: Delivery, reason: str, job: Mapping[str, Any], more: dict[str, Any]
) -> None:
    letter = {
        "reason": reason,
        "sentence": REASONS[reason].meaning,
        "job": _shown(job),
    } | more
    broker.quarantine(delivery.queue, delivery.message_id, letter)


def _shown(job: Mapping[str, Any]) -> Any:
    """The job, redacted; of a very long one only the beginning."""
    shown = redact(dict(job))
    text = json.dumps(shown)
    if len(text) <= MAX_LETTER:
        return shown
    ids = {name: str(shown.get(name))[:100] for name in ("refund_id", "store_id", "order_id")}
    return ids | {"cut_off": text[:MAX_LETTER]}
