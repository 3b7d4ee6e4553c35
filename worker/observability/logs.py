"""Logging set-up: JSON, or a readable format on a terminal, for our own lines and dramatiq's."""

from __future__ import annotations

import json
import logging
import sys
from contextlib import nullcontext, suppress
from typing import Literal, TextIO

import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

from worker.observability.foreign import FromDramatiq
from worker.observability.printable import printable
from worker.observability.redaction import redact

#: Their INFO lines repeat what our events say; httpx's also cost CPU time. The DEBUG lines of
#: dramatiq, and those that it logs for our actors, carry whole jobs.
_QUIET = ("httpx", "httpcore", "transitions", "dramatiq", "worker.actors")


def _redacted(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
    # The refund comes first, because readers look for it.
    ordered = {"refund_id": event["refund_id"], **event} if "refund_id" in event else event
    masked: EventDict = redact(ordered)
    return masked


def _printable(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
    """Escape what a terminal would obey; only an exception has several lines."""
    return {
        printable(name): "\n".join(map(printable, value.split("\n")))
        if name in {"exception", "stack"}
        else printable(value)
        if isinstance(value, str)
        else value
        for name, value in event.items()
    }


def _without_locals(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
    """Format an exception as text without local variables, which may contain a key."""
    return structlog.processors.format_exc_info(_, __, event)


def _as_json(_: WrappedLogger, __: str, event: EventDict) -> str:
    return _ENCODER.encode(event)


_ENCODER = json.JSONEncoder()


def _shared() -> list[Processor]:
    return [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        _without_locals,
    ]


def _last(chosen: str, *, colors: bool) -> list[Processor]:
    """Redaction comes last before the renderer, so that nothing is added after it."""
    if chosen == "json":
        return [_redacted, _as_json]
    renderer = structlog.dev.ConsoleRenderer(
        colors=colors,
        pad_event_to=15,
        sort_keys=False,
        exception_formatter=structlog.dev.plain_traceback,
    )
    return [_redacted, _printable, renderer]


class _Lines:
    """Writes our own events, without the detour through `logging`, which takes twice as long."""

    def __init__(self, handler: logging.StreamHandler[TextIO]) -> None:
        self._handler = handler

    def log(self, line: str) -> None:
        """Write one line. A log that cannot be written never stops a step."""
        with self._handler.lock or nullcontext(), suppress(OSError, ValueError):
            self._handler.stream.write(f"{line}\n")
            self._handler.stream.flush()

    debug = info = warning = error = log


def configure_logs(
    log_format: Literal["json", "console"] | None, level: str, stream: TextIO | None = None
) -> None:
    """Set up logging for this process; lines go to *stream*, by default to standard error.

    Without a *log_format*, a terminal gets the readable one and everything else gets JSON.
    """
    out = stream or sys.stderr
    is_terminal = out.isatty()
    chosen = log_format or ("console" if is_terminal else "json")
    handler = logging.StreamHandler(out)
    handler.addFilter(FromDramatiq())
    last = _last(chosen, colors=is_terminal)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[*_shared(), structlog.stdlib.add_logger_name],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *last],
        )
    )
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(level.upper())
    for name in _QUIET:
        logging.getLogger(name).setLevel(logging.WARNING)
    lines = _Lines(handler)
    structlog.configure(
        processors=[*_shared(), *last],
        logger_factory=lambda *_: lines,
        wrapper_class=structlog.make_filtering_bound_logger(level),
        cache_logger_on_first_use=False,
    )
