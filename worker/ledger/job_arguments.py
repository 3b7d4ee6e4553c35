"""What `accept.lua` needs of a job: texts alone, since these cost a script less than JSON."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from worker.ledger.arguments import history_line
from worker.queue.delivery import Delivery
from worker.refund.outcomes import about, outcome
from worker.refund.producers import Signed
from worker.refund.request import RefundRequest, digest_of

#: The texts of a job, in the order of the script's arguments.
JOB_FIELDS = (
    "refund_id", "store_id", "order_id", "request", "digest", "history", "outcome", "due_at_ms",
    "goes_first", "schema", "message_id", "nonce",
)  # fmt: skip
#: What the events of all jobs say about their kind.
ACCEPTED: Mapping[str, str] = {"outcome_type": "refund.accepted", "outcome_step": "request_refund"}


def job_arguments(
    request: RefundRequest, delivery: Delivery, signed: Signed | None = None, *, producer: str = ""
) -> dict[str, str]:
    """Return the texts of a job; *signed* says who signed it, if that was checked.

    *producer* is who sent it, if that is known in another way.
    """
    line: dict[str, Any] = {"event": "refund.accepted", "requested_by": request.requested_by}
    due_at_ms = max(delivery.due_at_ms, request.not_before_ms)
    if due_at_ms:
        line["due_at_ms"] = due_at_ms
    if name := signed.producer if signed else producer:
        line["producer"] = name
    canonical = request.canonical
    return {
        "refund_id": request.refund_id,
        "store_id": request.store_id,
        "order_id": request.order_id,
        "request": canonical,
        "digest": digest_of(canonical),
        "history": history_line(line),
        "outcome": outcome("accepted", ACCEPTED["outcome_step"], **about(request))["data"],
        "due_at_ms": str(due_at_ms),
        "goes_first": "1" if request.priority == "high" else "",
        "schema": str(request.schema_needed),
        "message_id": delivery.message_id,
        "nonce": signed.nonce if signed else "",
    }
