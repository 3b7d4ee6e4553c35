"""Compares an answer with a recorded one: missing fields, other types, other values."""

from __future__ import annotations

import re
from collections.abc import Iterator
from decimal import Decimal, InvalidOperation
from typing import Any

#: In a recorded answer: there is a value here, and it may be any.
ANYTHING = "…"


def differences(recorded: Any, found: Any, path: str = "") -> Iterator[str]:
    """Yield each place where *found* lacks or changes something recorded; it may have more."""
    if isinstance(recorded, dict) and isinstance(found, dict):
        for name, value in recorded.items():
            if name not in found:
                yield f"{path}.{name} is missing"
            else:
                yield from differences(value, found[name], f"{path}.{name}")
    elif isinstance(recorded, list) and isinstance(found, list):
        if len(recorded) != len(found):
            yield f"{path} has {len(found)} items, not {len(recorded)}"
        for number, (value, other) in enumerate(zip(recorded, found, strict=False)):
            yield from differences(value, other, f"{path}[{number}]")
    elif not _is_like(recorded, found, path):
        yield f"{path} is {found!r}, not {recorded!r}"


def _is_like(recorded: Any, found: Any, path: str) -> bool:
    if type(recorded) is not type(found):
        return False
    if isinstance(recorded, str) and ANYTHING in recorded:
        parts = (re.escape(part) for part in recorded.split(ANYTHING))
        return re.fullmatch(".+".join(parts), found) is not None
    if isinstance(recorded, str) and path.endswith(".amount"):
        return _same_number(recorded, found)
    return bool(recorded == found)


def _same_number(recorded: str, found: str) -> bool:
    """Return whether two texts are the same number: Wix writes both 0 and 0.00."""
    try:
        return Decimal(recorded) == Decimal(found)
    except InvalidOperation:
        return False
