"""What the tables say about one log event."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Literal, NamedTuple

Level = Literal["debug", "info", "warning", "error"]
#: How severe each is, as in the standard library.
LEVELS: Mapping[str, int] = MappingProxyType({"debug": 10, "info": 20, "warning": 30, "error": 40})


class Event(NamedTuple):
    """Level, meaning and fields of one event; the fields in `BOUND` come in addition."""

    level: Level
    meaning: str
    fields: tuple[str, ...] = ()
