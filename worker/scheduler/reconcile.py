"""Find what is in flight although nobody holds it or will be told of it, and set it going again."""

from __future__ import annotations

import structlog

from worker.ledger.refunds import Ledger
from worker.observability.events import tell


def reconcile(ledger: Ledger) -> int:
    """Look at every refund that holds a slot of its store; returns how many were forgotten."""
    roused = 0
    for refund_id in ledger.rouse():
        roused += 1
        with structlog.contextvars.bound_contextvars(refund_id=refund_id):
            tell("refund.roused")
    return roused
