"""Jobs that upstream has sent and that no worker has accepted yet."""

from __future__ import annotations

import json
from typing import Any

import redis

from worker.ledger.lanes import LaneRules
from worker.ledger.scripts import load_scripts
from worker.observability.redaction import redact
from worker.queue.names import INTAKE
from worker.upstream.wire import place_of

#: How many messages one call of the script looks at.
PIECE = 2_000
#: A longer queue is not searched any further: that would take too long.
MOST_LOOKED_AT = 1_000_000
#: The last moment that has a date: the end of the year 9999. Senders may say anything.
LATEST_MS = 253_402_300_799_999
#: The fields of a job that are shown.
SHOWN = (
    *("refund_id", "store_id", "order_id", "order_number"),
    *("amount", "currency", "reason", "requested_by"),
)


def queued_jobs(client: redis.Redis, ns: str, needle: str) -> list[dict[str, Any]]:
    """Return the queued jobs of this order, by its id or number, or the one of this refund.

    The first one comes first. Each says since when it is in the queue (the sender's clock), and how
    many jobs are before it.
    """
    if (job := _at_its_place(client, ns, needle)) is not None:
        return [job]
    script = load_scripts(client, ("queued",), namespace=ns[1:-1], lanes=LaneRules(1))["queued"]
    found: list[dict[str, Any]] = []
    for start in range(0, MOST_LOOKED_AT, PIECE):
        given = {"queue": INTAKE, "start": start, "piece": PIECE, "needle": needle}
        answer: Any = script(keys=[ns], args=[json.dumps(given, ensure_ascii=False)])
        size, *flat = answer
        for place, text in zip(flat[::2], flat[1::2], strict=True):
            job = _job(text)
            if needle in {job.get("refund_id"), job.get("order_id"), job.get("order_number")}:
                found.append(job | {"before": int(place)})
        if size < PIECE:
            break
    return found


def _at_its_place(client: redis.Redis, ns: str, refund_id: str) -> dict[str, Any] | None:
    """Return the job of a refund that our client has sent, without looking at all others.

    It may also be one that a worker has just fetched.
    """
    place = place_of(refund_id)
    text: Any = client.hget(f"{ns}:{INTAKE}.msgs", place)
    job = _job(text) if text else {}
    if job.get("refund_id") != refund_id:
        return None
    before: Any = client.lpos(f"{ns}:{INTAKE}", place)
    return job | {"before": before or 0}


def _job(text: str) -> dict[str, Any]:
    """Return what is shown of a queued message; little of one that is no job."""
    try:
        message = json.loads(text)
        fields = dict(message["kwargs"])
        sent_at = int(message["message_timestamp"])
    except (ValueError, TypeError, KeyError, RecursionError, OverflowError):
        return {}
    shown = {name: redact(str(fields[name])[:200]) for name in SHOWN if fields.get(name)}
    return shown | {"queued_at_ms": min(max(0, sent_at), LATEST_MS)}
