"""Turns dramatiq's log lines, which contain whole jobs and tracebacks, into our own events."""

from __future__ import annotations

import logging
import traceback
from pathlib import Path

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


def type_and_place(error: BaseException) -> str:
    """Return the type of an unexpected error and where it was raised, like `KeyError at a.py:7`.

    Its text may contain a secret, and the local variables of a traceback a whole job.
    """
    frames = traceback.extract_tb(error.__traceback__)
    place = (
        f"{Path(frames[-1].filename).name}:{frames[-1].lineno}" if frames else "an unknown place"
    )
    return f"{type(error).__name__} at {place}"


class FromDramatiq(logging.Filter):
    """Replaces each line of dramatiq by the event `worker.dramatiq`; drops what we log anyway."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Return whether the record is to be logged as it is."""
        if record.name.partition(".")[0] != "dramatiq":
            return True
        if not str(record.msg).startswith(_TOLD):
            error = record.exc_info[1] if record.exc_info else None
            log_event(
                "worker.dramatiq",
                text=_text(record),
                logger=record.name[:LONGEST_PART],
                **({"error": type_and_place(error)} if error else {}),
            )
        return False


def _text(record: logging.LogRecord) -> str:
    """Return the first line of the text; a message is named by its id alone."""
    arguments = record.args if isinstance(record.args, tuple) else ()
    template = str(record.msg).split("\n")[0]
    shown = [_short(argument) for argument in arguments]
    try:
        text = template % tuple(shown[: template.replace("%%", "").count("%")])
    except (TypeError, ValueError):
        text = template
    return text[:LONGEST]


def _short(argument: object) -> object:
    if isinstance(argument, int | float):
        return argument
    if isinstance(argument, BaseException):
        return type(argument).__name__
    return str(getattr(argument, "message_id", argument))[:LONGEST_PART]
