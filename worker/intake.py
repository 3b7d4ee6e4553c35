"""How a job becomes a refund: checked where it enters; a wrong one is kept for a person."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import structlog

from worker.ledger.refunds import Ledger
from worker.observability.events import log_event
from worker.observability.redaction import redact
from worker.queue.broker import MAX_LETTER, Broker
from worker.queue.delivery import Delivery
from worker.refund.reasons import REASONS
from worker.refund.request import InvalidJob, parse_request


def take(job: Mapping[str, Any], *, ledger: Ledger, broker: Broker, delivery: Delivery) -> None:
    """Write a job down as a refund, once."""
    try:
        request = parse_request(job)
    except InvalidJob as error:
        _quarantine(broker, delivery, "invalid_job", job, {"problems": redact(error.problems)})
        log_event("refund.invalid", problems=error.problems)
        return
    structlog.contextvars.bind_contextvars(store_id=request.store_id, order_id=request.order_id)
    verdict = ledger.accept(request, delivery)
    log_event(f"refund.{verdict}")
    if verdict == "conflict":
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
    """The job as a person may see it; of a very long one its beginning."""
    shown = redact(dict(job))
    text = json.dumps(shown)
    if len(text) <= MAX_LETTER:
        return shown
    ids = {name: str(shown.get(name))[:100] for name in ("refund_id", "store_id", "order_id")}
    return ids | {"cut_off": text[:MAX_LETTER]}
