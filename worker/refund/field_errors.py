"""Explain invalid fields of a job to its sender, without repeating their values."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from worker.upstream.rules import REQUIRED, TAKES, UNKNOWN

_OWN = "Value error, "


def in_words(problem: Mapping[str, Any]) -> str:
    """Return one of pydantic's errors as the rest of a sentence that begins with the field."""
    kind, place = str(problem["type"]), problem["loc"]
    # The keys of `metadata` are the caller's, even if they are called like one of our fields.
    field = str(place[-1]) if place and place[0] != "metadata" else ""
    if kind == "missing":
        return REQUIRED
    if kind == "extra_forbidden":
        return UNKNOWN
    text = str(problem["msg"])
    is_ours = text.startswith(_OWN) and not field.endswith("_id")
    if is_ours or field not in TAKES:
        return text.removeprefix(_OWN)
    return TAKES[field]
