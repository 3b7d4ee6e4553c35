"""The log events: one table for the code and the README. No other event can be logged.

Here are those about refunds, stores and messages; `act_events.py` has those about what
people do, `cell_events.py` those about cells, and `program_events.py` those about the program.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

import structlog

from worker.observability.act_events import ACT_EVENTS
from worker.observability.cell_events import CELL_EVENTS
from worker.observability.event import LEVELS, Event
from worker.observability.program_events import PROGRAM_EVENTS

#: Bound once per message, so they are on every line of a step.
BOUND = ("refund_id", "actor", "message_id", "store_id", "order_id")

#: Fields of every event that a step has written to the history.
_STEP = ("transition", "attempt", "wix_calls", "duration_ms")
#: What Wix answered, where it is known.
_WIX = ("http_status", "wix_code", "wix_request_id")

EVENTS: Mapping[str, Event] = MappingProxyType(
    {
        "refund.accepted": Event(
            "info", "A job was accepted and became a refund.", ("due_at_ms", "producer")
        ),
        "refund.duplicate": Event(
            "info", "The same job arrived again; nothing changed.", ("producer",)
        ),
        "refund.conflict": Event(
            "warning",
            "A job with a known refund_id but different content was refused.",
            ("producer",),
        ),
        "refund.not_authorized": Event(
            "warning",
            "A job was refused because of its signature, or of what its producer may do.",
            ("reason", "detail"),
        ),
        "refund.invalid": Event("warning", "A job with invalid fields was refused.", ("problems",)),
        "step.done": Event(
            "info",
            "A step succeeded and moved the refund to its next state.",
            (*_STEP, "from_state", "to_state", "wix_request_id", "by_merchant", "found"),
        ),
        "step.order_found": Event(
            "info",
            "The order of a job that names its number was found at Wix.",
            (*_STEP, "order_id"),
        ),
        "step.waiting": Event(
            "info", "Nothing failed; the step checks again later.", (*_STEP, "why", "in_ms")
        ),
        "step.retry": Event(
            "warning",
            "The step failed and will be retried.",
            (*_STEP, "reason", "error", "stack", *_WIX, "in_ms", "outcome_unknown"),
        ),
        "step.rejected": Event(
            "warning",
            "Wix or the rules refused the refund for good; upstream gets the reason.",
            (*_STEP, "from_state", "reason", "sentence", *_WIX),
        ),
        "step.dead": Event(
            "error",
            "The refund became a dead letter: a person must decide.",
            (*_STEP, "from_state", "reason", "sentence", "stack", *_WIX),
        ),
        "order.also_refundable": Event(
            "info",
            "The order is cancelled, which moves no money, although Wix says that it could refund"
            " its payments.",
            ("amount", "currency"),
        ),
        "step.redundant": Event(
            "info", "A message asked for something that is already done.", ("transition", "state")
        ),
        "step.illegal": Event(
            "error",
            "A message asked for a transition that the refund's state does not allow.",
            ("transition", "state"),
        ),
        "step.early": Event(
            "info", "A message arrived before its refund was due; it was dropped.", ("transition",)
        ),
        "step.newer": Event(
            "warning",
            "Only a newer version of the worker can run this refund; it waits in its lane.",
            ("transition",),
        ),
        "step.held_back": Event(
            "warning",
            "The Redis server restarted or was replaced and may have forgotten a call, or too few"
            " replicas have the intent: nothing was changed at Wix; the step continues later.",
            (*_STEP, "why", "in_ms"),
        ),
        "step.needs_approval": Event(
            "warning", "The refund would exceed a limit; it waits for an approval.", (*_STEP, "why")
        ),
        "step.busy": Event(
            "info",
            "Another step of the same order is running; this one comes back shortly.",
            ("transition",),
        ),
        "step.suspended": Event(
            "debug",
            "The store is suspended: the refund waits in its lane, and no attempt is used up.",
            (*_STEP, "reason"),
        ),
        "step.forbidden": Event(
            "warning",
            "Wix refused a call with 403 and did not say why, as it does when it throttles: the"
            " store's refunds wait, or only this one if other calls work; no attempt is used up.",
            (*_STEP, "reason", "error", *_WIX, "in_ms"),
        ),
        "step.paced": Event(
            "debug",
            "The store is over its rate, or pauses: the refund waits in its lane, and no attempt is"
            " used up.",
            ("transition",),
        ),
        "step.paused": Event(
            "debug",
            "A person has paused the store, or all: the refund waits in its lane.",
            ("transition",),
        ),
        "step.on_hold": Event(
            "info", "A person has stopped this refund; it waits to be released.", ("transition",)
        ),
        "step.unknown_refund": Event(
            "error", "A message names a refund that is not in the ledger.", ("transition",)
        ),
        "step.lease_lost": Event(
            "warning", "The lease of the order was lost; nothing was written.", ("transition",)
        ),
        "step.unsettled": Event(
            "error",
            "Redis did not store the result; the step runs again and checks Wix first.",
            ("error",),
        ),
        "store.connected": Event(
            "info",
            "A store's API key was checked and saved.",
            ("name", "currency", "rotated", "operator"),
        ),
        "store.suspended": Event(
            "error",
            "Wix refuses the store's API key, or there is none: its refunds wait, other stores are"
            " not affected.",
            ("reason", "sentence", "remedy", "detail", *_WIX),
        ),
        "store.probed": Event(
            "info",
            "A suspended store was looked at again; Wix does not accept its key, or there is none.",
            ("error",),
        ),
        "wix.circuit_opened": Event(
            "error",
            "Wix does not answer for most stores: no refund starts until it answers probes again.",
            ("failing", "answering"),
        ),
        "wix.circuit_closed": Event(
            "warning",
            "Wix answers again: all stores continue, and retries are made within a minute.",
            ("lasted_ms",),
        ),
        "store.throttled": Event(
            "warning",
            "Wix throttles a store: its refunds pause, and its rate is halved for some minutes.",
            ("pause_ms",),
        ),
        "store.resumed": Event(
            "info",
            "The refunds of a suspended store continue, in order of arrival.",
            ("by", "operator", "why", "before"),
        ),
        "store.disconnected": Event(
            "info", "A store and its API key were deleted.", ("dead_letters", "operator")
        ),
        "refund.reversed": Event(
            "error",
            "The payment provider took back a refund that it had paid; upstream is informed.",
            ("from", "to"),
        ),
        "refund.overpaid": Event(
            "error",
            "Wix shows our refund more than once; a person must recover the amount.",
            ("wix_refund_ids", "amount", "currency"),
        ),
        "refund.settled_again": Event(
            "warning",
            "A refund that the payment provider had taken back is paid after all.",
            ("from", "to"),
        ),
        "order.refund_observed": Event(
            "info", "A merchant has refunded an order; upstream was told.", ("wix_id",)
        ),
        "order.cancel_observed": Event(
            "info", "A merchant has cancelled an order; upstream was told.", ("wix_id",)
        ),
        "order.not_clear": Event(
            "warning",
            "For days it could not be said whether the merchant or this worker changed an order;"
            " upstream is not told.",
            ("why",),
        ),
        "store.observe_failed": Event(
            "warning", "A look at what a merchant did failed; it is repeated.", ("error",)
        ),
        "refund.recheck_failed": Event(
            "warning",
            "Finished refunds could not be checked for a reversal; they are checked again later.",
            ("error", "orders"),
        ),
        "store.roused": Event(
            "warning", "A store with waiting refunds got no turn; it gets turns again."
        ),
        "refund.roused": Event("warning", "A lost refund was requeued."),
        "job.waiting": Event(
            "info",
            "A bulk act has done its canary and waits for `refunds jobs continue`.",
            ("job_id", "act", "done", "refused", "left"),
        ),
        "job.done": Event(
            "info",
            "A bulk act has ended; `refunds jobs show` has the result of each item.",
            ("job_id", "act", "done", "refused", "left"),
        ),
        "refunds.forgotten": Event(
            "info",
            "Finished refunds are in the archive, and Redis only keeps what recognises a repeat.",
            ("count", "files"),
        ),
        "archive.failed": Event(
            "error",
            "The archive cannot be used: nothing is forgotten, and Redis grows; tried again.",
            ("error",),
        ),
        "outcomes.trimmed": Event(
            "info", "Outcomes older than REFUNDS_KEEP_OUTCOMES_DAYS were trimmed.", ("count",)
        ),
        "outcomes.unread": Event(
            "warning",
            "A consumer group has not acknowledged, or a webhook not sent, old outcomes: they stay,"
            " and those that are newer, too.",
            ("group", "since_ms"),
        ),
        "message.quarantined": Event(
            "error",
            "A message could not be processed and became a dead letter.",
            ("reason", "queue", "error"),
        ),
        **CELL_EVENTS,
        **ACT_EVENTS,
        **PROGRAM_EVENTS,
    }
)


def log_event(event: str, **fields: Any) -> None:
    """Log one event, at the level that the table gives it.

    Raises:
        KeyError: the table has no such event.
    """
    level = LEVELS[EVENTS[event].level]
    for observer in _OBSERVERS:
        observer(event, fields)
    _LOGGER.log(level, event, **fields)


def observe(observer: Callable[[str, Mapping[str, Any]], None]) -> None:
    """Tell *observer* of each event from now on, also of those below the level of the log."""
    _OBSERVERS.append(observer)


_OBSERVERS: list[Callable[[str, Mapping[str, Any]], None]] = []
#: Reads the configuration at each call.
_LOGGER = structlog.get_logger()


def events_table() -> str:
    """Return the table as Markdown, for the README."""
    rows = ["| event | level | meaning | fields |", "|---|---|---|---|"]
    rows += [
        f"| `{name}` | {e.level} | {e.meaning} | {', '.join(f'`{f}`' for f in e.fields)} |"
        for name, e in EVENTS.items()
    ]
    return "\n".join(rows) + "\n"
