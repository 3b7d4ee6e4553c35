"""What the tables say about one log event."""

from __future__ import annotations

from typing import Literal, NamedTuple

Level = Literal["debug", "info", "warning", "error"]


class Event(NamedTuple):
    """Level, meaning and fields of one event; the fields in `BOUND` come in addition."""

    level: Level
    meaning: str
    fields: tuple[str, ...] = ()
