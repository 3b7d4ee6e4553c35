"""Captures the log of a test, and restores the logging configuration afterwards."""

from __future__ import annotations

import io
import logging
from collections.abc import Iterator
from contextlib import contextmanager

import structlog

from worker.observability.context import bind_only
from worker.observability.logs import configure_logs


@contextmanager
def restored_logging() -> Iterator[None]:
    """Restore the logging configuration when the context ends."""
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    try:
        yield
    finally:
        root.handlers, root.level = handlers, level
        structlog.reset_defaults()
        bind_only()


@contextmanager
def captured_log(level: str = "info") -> Iterator[io.StringIO]:
    """Yield a stream that receives everything logged at *level* or above, as JSON lines."""
    out = io.StringIO()
    with restored_logging():
        configure_logs("json", level, out)
        yield out
