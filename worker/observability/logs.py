"""Logging set-up: JSON, or a readable format on a terminal, for our own lines and all others."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from functools import partial
from typing import Any, Literal, TextIO

import structlog

from worker.observability.context import bound_fields
from worker.observability.event import LEVELS, Level
from worker.observability.foreign import Foreign, type_and_place
from worker.observability.formats import encoded, renderer, this_process
from worker.observability.printable import printable
from worker.observability.redaction import is_harmless_json, redact
from worker.observability.sink import SINK

Chosen = Literal["json", "gcp", "ecs", "console"]

#: Takes one line, without its end.
Write = Callable[[str], None]
Event = dict[str, Any]


def _stamped(level: Level, event: Event) -> Event:
    """Add what is bound, the level and the time; the refund first, because readers look for it."""
    for name, value in bound_fields().items():
        event.setdefault(name, value)
    event["level"] = level
    event["timestamp"] = datetime.now(UTC).isoformat().replace("+00:00", "Z")
    return {"refund_id": event["refund_id"], **event} if "refund_id" in event else event


def _printable(event: Event) -> Event:
    """Escape what a terminal would obey."""
    return {
        printable(name): printable(value) if isinstance(value, str) else value
        for name, value in event.items()
    }


def _rendered(render: Callable[[Event], str], event: Event) -> str:
    """Return the line of an event. One that cannot be written must not stop a step."""
    # Most lines hold no secret, which their text tells faster than their parts.
    with suppress(Exception):
        line = render(event)
        if is_harmless_json(line):
            return line
    event = redact(event)
    try:
        return render(event)
    except Exception as error:  # noqa: BLE001 - see above
        known = {name: str(event.get(name)) for name in ("event", "level", "timestamp")}
        return encoded(known | {"problem": type_and_place(error)})


def _line_of(chosen: Chosen, *, colors: bool) -> Callable[[Event], str]:
    """Return what makes a line of an event. Redaction comes last, so that nothing is added."""
    if chosen != "console":
        return partial(_rendered, renderer(chosen, this_process()))
    console = structlog.dev.ConsoleRenderer(colors=colors, pad_event_to=15, sort_keys=False)
    return lambda event: str(console(None, event["level"], _printable(redact(event))))


def _write_to(stream: TextIO) -> Write:
    def write(line: str) -> None:
        """Write one line. A log that cannot be written never stops a step."""
        with suppress(OSError, ValueError):
            stream.write(f"{line}\n")
            stream.flush()

    return write


def choose(log_format: Chosen | None, stream: TextIO) -> Chosen:
    """Return the format: if none is wanted, a readable one on a terminal, else JSON."""
    return log_format or ("console" if stream.isatty() else "json")


def configure_logs(
    log_format: Chosen | None,
    level: str,
    stream: TextIO | None = None,
    *,
    write: Write | None = None,
) -> None:
    """Set up logging for this process; lines go to *stream*, by default to standard error.

    Without a *log_format*, a terminal gets the readable one and everything else gets JSON. *write*
    takes the lines in the stream's place.
    """
    out = stream or sys.stderr
    line_of = _line_of(choose(log_format, out), colors=out.isatty())
    put, least = write or _write_to(out), LEVELS[level.lower()]

    def write_event(level: Level, event: dict[str, Any]) -> None:
        if LEVELS[level] >= least:
            put(line_of(_stamped(level, event)))

    SINK.write = write_event
    root = logging.getLogger()
    root.handlers = [Foreign()]
    # The INFO lines of libraries repeat what our events say, and some carry whole jobs.
    root.setLevel(logging.WARNING)
