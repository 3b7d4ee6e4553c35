"""The fields that are on each line that a thread logs: of which refund, which store, which message.

In one variable: structlog has one for each field, and goes through all of them for each line.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from types import MappingProxyType
from typing import Any

_NONE: Mapping[str, Any] = MappingProxyType({})
_FIELDS: ContextVar[Mapping[str, Any]] = ContextVar("fields", default=_NONE)


def bound_fields() -> Mapping[str, Any]:
    """Return the fields that are bound."""
    return _FIELDS.get()


def bind(**fields: Any) -> None:
    """Bind these fields, too."""
    _FIELDS.set({**_FIELDS.get(), **fields})


def bind_only(**fields: Any) -> None:
    """Bind these fields, and no others."""
    _FIELDS.set(fields)


@contextmanager
def bound(**fields: Any) -> Iterator[None]:
    """Bind these fields, too, until the context ends."""
    token = _FIELDS.set({**_FIELDS.get(), **fields})
    try:
        yield
    finally:
        _FIELDS.reset(token)
