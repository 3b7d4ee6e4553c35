"""Requeue lost refunds: in flight, but without a message and without a living worker."""

from __future__ import annotations

from collections.abc import Iterable

import structlog

from worker.ledger.refunds import Ledger
from worker.observability.events import log_event


def requeue_lost(ledger: Ledger) -> int:
    """Check each refund that holds a slot of its store; return how many were lost."""
    return log_requeued(ledger.requeue_lost())


def log_requeued(refund_ids: Iterable[str]) -> int:
    """Log that these refunds were requeued; return how many there are."""
    requeued = 0
    for refund_id in refund_ids:
        requeued += 1
        with structlog.contextvars.bound_contextvars(refund_id=refund_id):
            log_event("refund.roused")
    return requeued
