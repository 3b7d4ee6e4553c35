"""What `accept.lua` needs of a job: texts alone, since these cost a script less than JSON."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from worker.ledger.arguments import history_line
from worker.queue.delivery import Delivery
from worker.refund.canonical import digest_of
from worker.refund.outcomes import about, outcome
from worker.refund.producers import Signed
from worker.refund.request import RefundRequest

#: The texts of a job, in the order of the script's arguments.
JOB_FIELDS = (
    "refund_id", "store_id", "order_id", "request", "digest", "history", "outcome", "due_at_ms",
    "goes_first", "schema", "message_id", "nonce",
)  # fmt: skip
#: What the events of all jobs say about their kind.
ACCEPTED: Mapping[str, str] = {"outcome_type": "refund.accepted", "outcome_step": "request_refund"}


@lru_cache(maxsize=256)
def _accepted_line(requested_by: str, producer: str, due_at_ms: int) -> str:
    """Return the line of the history, which is the same for most jobs of a producer."""
    line: dict[str, Any] = {"event": "refund.accepted", "requested_by": requested_by}
    if due_at_ms:
        line["due_at_ms"] = due_at_ms
    if producer:
        line["producer"] = producer
    return history_line(line)


def job_arguments(
    request: RefundRequest, delivery: Delivery, signed: Signed | None = None, *, producer: str = ""
) -> dict[str, str]:
    """Return the texts of a job; *signed* says who signed it, if that was checked.

    *producer* is who sent it, if that is known in another way.
    """
    due_at_ms = max(delivery.due_at_ms, request.not_before_ms)
    name = signed.producer if signed else producer
    canonical = request.canonical
    return {
        "refund_id": request.refund_id,
        "store_id": request.store_id,
        "order_id": request.order_id,
        "request": canonical,
        "digest": digest_of(canonical),
        "history": _accepted_line(request.requested_by, name, due_at_ms),
        "outcome": outcome("accepted", ACCEPTED["outcome_step"], **about(request))["data"],
        "due_at_ms": str(due_at_ms),
        "goes_first": "1" if request.priority == "high" else "",
        "schema": str(request.schema_needed),
        "message_id": delivery.message_id,
        "nonce": signed.nonce if signed else "",
    }
