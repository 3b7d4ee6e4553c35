"""JSON without blanks, for machines: what Redis stores and what its scripts get."""

from __future__ import annotations

import json
from typing import Any

from pydantic_core import PydanticSerializationError, to_json


def compact(value: Any) -> str:
    """Return a JSON-like value as JSON without blanks."""
    try:
        # pydantic's serializer takes a third of the time that json.dumps() does.
        return to_json(value).decode()
    except PydanticSerializationError:
        return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
