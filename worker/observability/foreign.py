"""Turns what others write - libraries, warnings, the interpreter - into our own events.

dramatiq's lines contain whole jobs and tracebacks, and so may those of others.
"""

from __future__ import annotations

import io
import logging
import sys
import threading
import traceback
from pathlib import Path
from types import TracebackType
from typing import Any

from worker.observability.events import log_event

#: Lines of dramatiq that repeat what our own events say, by their beginning.
_TOLD = (
    "Failed to process message",  # step.unsettled, step.lease_lost or message.quarantined
    "Received message for undefined actor",  # message.quarantined
    "Consumer encountered a connection error",  # worker.redis_lost
    "Failed to post_process_message",  # worker.redis_lost
)
#: Maximum number of characters of the text and of each part of it.
LONGEST, LONGEST_PART = 500, 100
#: How many calls of a traceback are named, the innermost ones.
MOST_FRAMES = 12


def type_and_place(error: BaseException) -> str:
    """Return the type of an unexpected error and where it was raised, like `KeyError at a.py:7`.

    Its text may contain a secret, and the local variables of a traceback a whole job.
    """
    frames = traceback.extract_tb(error.__traceback__)
    place = (
        f"{Path(frames[-1].filename).name}:{frames[-1].lineno}" if frames else "an unknown place"
    )
    return f"{type(error).__name__} at {place}"


def stack_of(error: BaseException) -> str:
    """Return the calls that led to an error, the innermost first: places, and nothing of values."""
    frames = traceback.extract_tb(error.__traceback__)[-MOST_FRAMES:]
    return " < ".join(f"{Path(f.filename).name}:{f.lineno} {f.name}" for f in reversed(frames))


class Foreign(logging.Handler):
    """Logs each line of a library as one of our events; drops what we log anyway."""

    def emit(self, record: logging.LogRecord) -> None:
        """Log the event for one line."""
        is_dramatiq = record.name.partition(".")[0] == "dramatiq"
        if is_dramatiq and str(record.msg).startswith(_TOLD):
            return
        error = record.exc_info[1] if record.exc_info else None
        log_event(
            "worker.dramatiq" if is_dramatiq else "worker.library",
            text=_text(record),
            logger=record.name[:LONGEST_PART],
            **({"error": type_and_place(error), "stack": stack_of(error)} if error else {}),
        )


def _text(record: logging.LogRecord) -> str:
    """Return the first line of the text; a message is named by its id alone."""
    arguments = record.args if isinstance(record.args, tuple) else ()
    template = str(record.msg).split("\n")[0]
    shown = [_short(argument) for argument in arguments]
    try:
        text = template % tuple(shown[: template.replace("%%", "").count("%")])
    except (TypeError, ValueError):
        text = template
    return text.split("\n")[0][:LONGEST]


def _short(argument: object) -> object:
    if isinstance(argument, int | float):
        return argument
    if isinstance(argument, BaseException):
        return type(argument).__name__
    return str(getattr(argument, "message_id", argument))[:LONGEST_PART]


class StandardError(io.TextIOBase):
    """In the place of `sys.stderr`: each line that somebody writes becomes an event."""

    encoding = "utf-8"
    errors = "backslashreplace"

    def __init__(self) -> None:
        self._begun = ""

    def write(self, text: str) -> int:
        """Log each line that is complete."""
        *lines, self._begun = (self._begun + text).split("\n")
        for line in lines:
            if line.strip():
                log_event("worker.stderr", text=line[:LONGEST])
        self._begun = self._begun[-LONGEST:]
        return len(text)

    def isatty(self) -> bool:
        """Whether this is a terminal: it is not."""
        return False


def catch_all() -> None:
    """Make events of all that the interpreter itself would write to standard error.

    That are uncaught exceptions, warnings, and what goes wrong while the program ends.
    """
    sys.excepthook = _crashed
    threading.excepthook = _thread_crashed
    sys.unraisablehook = _ignored
    logging.captureWarnings(capture=True)
    # The interpreter goes back to the second one while it ends.
    sys.stderr = sys.__stderr__ = StandardError()  # type: ignore[misc, assignment]  # see above


def _crashed(
    kind: type[BaseException], error: BaseException, _: TracebackType | None = None
) -> None:
    if not issubclass(kind, KeyboardInterrupt):
        log_event("worker.crashed", error=type_and_place(error), stack=stack_of(error))


def _thread_crashed(hook: Any) -> None:
    error, thread = hook.exc_value, hook.thread
    if isinstance(error, BaseException) and not isinstance(error, SystemExit):
        log_event(
            "worker.bug",
            error=type_and_place(error),
            stack=stack_of(error),
            thread=thread.name if thread else "",
        )


def _ignored(hook: Any) -> None:
    """Log an exception that nobody can catch, as in a destructor."""
    error = hook.exc_value
    if isinstance(error, BaseException):
        log_event("worker.bug", error=type_and_place(error), stack=stack_of(error), thread="")
