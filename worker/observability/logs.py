"""Logging set-up: JSON, or a readable format on a terminal, for our own lines and all others."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any, Literal, TextIO

import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

from worker.observability.context import bound_fields
from worker.observability.foreign import Foreign, type_and_place
from worker.observability.formats import encoded, renderer, this_process
from worker.observability.printable import printable
from worker.observability.redaction import is_harmless_json, redact

Chosen = Literal["json", "gcp", "ecs", "console"]

#: Takes one line, without its end.
Write = Callable[[str], None]


def _ordered(event: EventDict) -> EventDict:
    """The refund comes first, because readers look for it."""
    return {"refund_id": event["refund_id"], **event} if "refund_id" in event else event


def _stamped(_: WrappedLogger, level: str, event: EventDict) -> EventDict:
    """Add what is bound, the level and the time, which cannot be given."""
    for name, value in bound_fields().items():
        event.setdefault(name, value)
    event["level"] = level
    event["timestamp"] = datetime.now(UTC).isoformat().replace("+00:00", "Z")
    return event


def _redacted(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
    masked: EventDict = redact(_ordered(event))
    return masked


def _printable(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
    """Escape what a terminal would obey."""
    return {
        printable(name): printable(value) if isinstance(value, str) else value
        for name, value in event.items()
    }


def _rendered(render: Callable[[Mapping[str, Any]], str]) -> Processor:
    """Return the last processor. An event that cannot be written must not stop a step."""

    def written(_: WrappedLogger, __: str, event: EventDict) -> str:
        event = _ordered(event)
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

    return written


def _last(chosen: Chosen, *, colors: bool) -> list[Processor]:
    """Redaction comes last, with or before the renderer, so that nothing is added after it."""
    if chosen != "console":
        return [_rendered(renderer(chosen, this_process()))]
    console = structlog.dev.ConsoleRenderer(colors=colors, pad_event_to=15, sort_keys=False)
    return [_redacted, _printable, console]


class _Lines:
    """Writes our events, without the detour through `logging`, which takes twice as long."""

    def __init__(self, write: Write) -> None:
        self.log = self.debug = self.info = self.warning = self.error = write


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
    last = _last(choose(log_format, out), colors=out.isatty())
    lines = _Lines(write or _write_to(out))
    root = logging.getLogger()
    root.handlers = [Foreign()]
    # The INFO lines of libraries repeat what our events say, and some carry whole jobs.
    root.setLevel(logging.WARNING)
    structlog.configure(
        processors=[_stamped, *last],
        logger_factory=lambda *_: lines,
        wrapper_class=structlog.make_filtering_bound_logger(level),
        cache_logger_on_first_use=False,
    )
