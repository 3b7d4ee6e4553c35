"""JSON without blanks, for machines: what Redis stores and what its scripts get."""

from __future__ import annotations

import json
from typing import Any

from pydantic_core import PydanticSerializationError, to_json

from worker.observability.redaction import is_harmless_json, redact


def compact(value: Any) -> str:
    """Return a JSON-like value as JSON without blanks."""
    try:
        # pydantic's serializer takes a third of the time that json.dumps() does.
        return to_json(value).decode()
    except PydanticSerializationError:
        return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def redacted_json(value: Any) -> str:
    """Return a JSON-like value as JSON without blanks; every secret in it is masked."""
    text = compact(value)
    return text if is_harmless_json(text) else compact(redact(value))
