"""Finds fields of log events that would be written as Python spells them: `<State.DEAD: ...>`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from decimal import Decimal
from enum import Enum
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from worker.observability import events

#: Types that the log writes as people do.
PLAIN = (str, bool, int, float, type(None), Decimal, UUID, datetime, Path)


def not_plain(value: Any, name: str) -> Iterator[str]:
    """Yield the name and the type of each part of a value that is not plain."""
    if isinstance(value, Mapping):
        for key, inner in value.items():
            yield from not_plain(key, name)
            yield from not_plain(inner, f"{name}.{key}")
    elif isinstance(value, list | tuple) and not hasattr(value, "_fields"):
        for inner in value:
            yield from not_plain(inner, name)
    elif not isinstance(value, (*PLAIN, Enum)):
        yield f"{name}: {type(value).__name__}"


@pytest.fixture(autouse=True)
def every_field_is_plain() -> Iterator[None]:
    """In each test: what our program logs has plain values only."""
    found: set[str] = set()

    def saw(event: str, fields: Mapping[str, Any]) -> None:
        found.update(each for name in fields for each in not_plain(fields[name], f"{event} {name}"))

    events.observe(saw)
    yield
    events._OBSERVERS.remove(saw)
    assert found == set(), "log fields that are not plain"
