"""Logging set-up: JSON, or a readable format on a terminal, for our own lines and dramatiq's."""

from __future__ import annotations

import logging
import sys
from typing import Any, Literal, TextIO

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
    return {name: redact(value, name) for name, value in ordered.items()}


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


def _shared() -> list[Processor]:
    return [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        _without_locals,
    ]


def _renderer(chosen: str, *, colors: bool) -> Any:
    if chosen == "json":
        return structlog.processors.JSONRenderer(sort_keys=False)
    return structlog.dev.ConsoleRenderer(
        colors=colors,
        pad_event_to=15,
        sort_keys=False,
        exception_formatter=structlog.dev.plain_traceback,
    )


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
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[*_shared(), structlog.stdlib.add_logger_name],
            # Redaction comes last before the renderer, so that nothing is added after it.
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                _redacted,
                *([_printable] if chosen == "console" else []),
                _renderer(chosen, colors=is_terminal),
            ],
        )
    )
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(level.upper())
    for name in _QUIET:
        logging.getLogger(name).setLevel(logging.WARNING)
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *_shared(),
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=False,
    )
