"""Every log event: one table for code, README and people. A line of another kind cannot be told."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Literal, NamedTuple

import structlog

Level = Literal["debug", "info", "warning", "error"]


class Event(NamedTuple):
    """How loud it is, what it means and which fields it carries beside the bound ones."""

    level: Level
    meaning: str
    fields: tuple[str, ...] = ()


#: Bound once for each message, so on every line of a step.
BOUND = ("refund_id", "actor", "message_id", "store_id", "order_id")

EVENTS: Mapping[str, Event] = MappingProxyType(
    {
        "refund.accepted": Event("info", "A job became a refund: from now on it is ours."),
        "refund.duplicate": Event("info", "The same job came again; nothing changed."),
        "refund.conflict": Event(
            "warning", "A job with a known refund_id but other content was refused."
        ),
        "refund.invalid": Event("warning", "A job with wrong fields was refused.", ("problems",)),
        "step.done": Event(
            "info",
            "A step led the refund on.",
            (
                "transition",
                "from_state",
                "to_state",
                "attempt",
                "wix_calls",
                "duration_ms",
                "wix_request_id",
                "by_merchant",
                "found",
            ),
        ),
        "step.waiting": Event(
            "info",
            "Nothing failed; the step looks again later.",
            ("transition", "why", "in_ms", "attempt", "wix_calls", "duration_ms"),
        ),
        "step.retry": Event(
            "warning",
            "The step failed for now and comes back.",
            (
                "transition",
                "reason",
                "error",
                "http_status",
                "wix_code",
                "wix_request_id",
                "in_ms",
                "attempt",
                "wix_calls",
                "duration_ms",
                "outcome_unknown",
            ),
        ),
        "step.rejected": Event(
            "warning",
            "Wix or the rules said no for good: an answer for upstream.",
            (
                "transition",
                "from_state",
                "reason",
                "sentence",
                "http_status",
                "wix_code",
                "wix_request_id",
                "attempt",
                "wix_calls",
                "duration_ms",
            ),
        ),
        "step.dead": Event(
            "error",
            "A person must decide: the refund is a dead letter.",
            (
                "transition",
                "from_state",
                "reason",
                "sentence",
                "http_status",
                "wix_code",
                "wix_request_id",
                "attempt",
                "wix_calls",
                "duration_ms",
            ),
        ),
        "step.redundant": Event(
            "info", "The message asked for what is done already.", ("transition", "state")
        ),
        "step.illegal": Event(
            "error", "The message asked for what the tables forbid.", ("transition", "state")
        ),
        "step.early": Event("info", "The refund waits; its time has not come.", ("transition",)),
        "step.busy": Event(
            "info", "Another worker is at this order; we come back.", ("transition",)
        ),
        "step.suspended": Event(
            "debug",
            "The store is suspended; the refund waits in its lane, no attempt is spent.",
            ("transition", "reason", "attempt", "wix_calls", "duration_ms"),
        ),
        "step.paced": Event(
            "debug",
            "The store is over its rate; the refund waits in its lane, no attempt is spent.",
            ("transition",),
        ),
        "step.unknown_refund": Event(
            "error", "A message names a refund that the ledger does not know.", ("transition",)
        ),
        "step.lease_lost": Event(
            "warning", "The lease of the order was lost; nothing was written.", ("transition",)
        ),
        "step.unsettled": Event(
            "error",
            "Redis did not take the result; the step runs again and looks first.",
            ("error",),
        ),
        "store.connected": Event(
            "info", "A store's key was checked and saved.", ("name", "currency", "rotated")
        ),
        "store.suspended": Event(
            "error",
            "Wix refuses the store's key: its refunds wait in their lane, other stores go on.",
            (
                "reason",
                "sentence",
                "remedy",
                "detail",
                "http_status",
                "wix_code",
                "wix_request_id",
            ),
        ),
        "store.probed": Event(
            "info", "Wix was asked about a suspended store and still refuses.", ("error",)
        ),
        "store.resumed": Event("info", "The store's lane goes on, in order of arrival.", ("by",)),
        "store.disconnected": Event("info", "The store's key was forgotten.", ("dead_letters",)),
        "refund.replayed": Event("info", "A person sent a dead letter on.", ("operator",)),
        "refund.reversed": Event(
            "error", "The provider took back what it had paid; upstream is told.", ("from", "to")
        ),
        "refund.settled_again": Event(
            "warning", "What the provider had taken back is paid after all.", ("from", "to")
        ),
        "refund.recheck_failed": Event(
            "warning",
            "A finished refund could not be looked at; we look again.",
            ("error",),
        ),
        "refund.roused": Event("warning", "A forgotten refund was set going again."),
        "message.quarantined": Event(
            "error", "A message that no step could take waits for a person.", ("reason", "queue")
        ),
        "order.also_refundable": Event(
            "info",
            "An order before the cutoff that Wix calls refundable; it is cancelled all the same.",
        ),
        "doctor.refused": Event(
            "error",
            "This installation is not fit to move money; the worker ends.",
            ("check", "text"),
        ),
        "doctor.warning": Event("warning", "This installation could be safer.", ("check", "text")),
        "worker.started": Event(
            "info", "A worker fetches messages.", ("worker_id", "threads", "stores")
        ),
        "worker.stopping": Event(
            "info", "No new work; the running steps settle.", ("signal", "grace_s")
        ),
        "worker.stopped": Event("info", "All steps settled; the worker ends.", ("worker_id",)),
        "worker.grace_over": Event(
            "error", "Steps still ran when the grace time was over; others take them up."
        ),
        "worker.reclaimed": Event(
            "warning", "Workers fell silent; their messages are back in the queue.", ("workers",)
        ),
        "worker.redis_lost": Event(
            "warning", "Redis does not answer; we go on trying.", ("error",)
        ),
        "worker.bug": Event(
            "error", "The worker itself failed beside a step; it goes on.", ("error", "thread")
        ),
        "worker.child_ended": Event(
            "error", "A worker's child ended by itself; it is started again.", ("exit_code",)
        ),
        "settings.unknown": Event(
            "warning", "A variable with our prefix that nobody reads.", ("variable", "nearest")
        ),
        "demo.step": Event("info", "What the demo does now.", ("text",)),
    }
)


def log_event(event: str, **fields: Any) -> None:
    """Write one line of the log, loud as the table says."""
    structlog.get_logger().log(_LEVELS[EVENTS[event].level], event, **fields)


_LEVELS: Mapping[Level, int] = MappingProxyType(
    {"debug": 10, "info": 20, "warning": 30, "error": 40}
)


def events_table() -> str:
    """The table as Markdown, for the README."""
    rows = ["| event | level | meaning | fields |", "|---|---|---|---|"]
    rows += [
        f"| `{name}` | {e.level} | {e.meaning} | {', '.join(f'`{f}`' for f in e.fields)} |"
        for name, e in EVENTS.items()
    ]
    return "\n".join(rows) + "\n"
