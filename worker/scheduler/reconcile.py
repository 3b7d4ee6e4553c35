"""Find what is in flight although nobody holds it or will be told of it, and set it going again."""

from __future__ import annotations

import structlog

from worker.ledger.refunds import Ledger
from worker.observability.events import log_event


def reconcile(ledger: Ledger) -> int:
    """Look at every refund that holds a slot of its store; returns how many were forgotten."""
    roused = 0
    for refund_id in ledger.requeue_lost():
        roused += 1
        with structlog.contextvars.bound_contextvars(refund_id=refund_id):
            log_event("refund.roused")
    return roused
