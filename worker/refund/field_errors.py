"""Explain invalid fields of a job to its sender, without repeating their values."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from worker.upstream import rules
from worker.upstream.invalid import unknown

_OWN = "Value error, "
#: What pydantic says, by its type of error, in the words of the client.
_SENTENCES: Mapping[str, str] = {
    "missing": rules.REQUIRED,
    "string_type": rules.NOT_TEXT,
    "tuple_type": rules.NOT_A_LIST,
    "model_type": rules.NOT_A_TABLE,
    "dict_type": rules.NOT_NOTES,
}


def in_words(problem: Mapping[str, Any], known: Mapping[str, Iterable[str]]) -> str:
    """Return one of pydantic's errors as the rest of a sentence that begins with the field.

    *known* has the fields of a job, and of what is in its lists, by the name of the list; "" is
    the job itself.
    """
    kind, place = str(problem["type"]), problem["loc"]
    # The keys of `metadata` are the caller's, even if they are called like one of our fields.
    field = str(place[-1]) if place and place[0] != "metadata" else ""
    if kind == "extra_forbidden":
        return unknown(field, known[str(place[0]) if len(place) > 1 else ""])
    if kind == "too_long":
        most = problem["ctx"]["max_length"]
        return rules.at_most(most, "items") if place[0] != "metadata" else rules.NOT_NOTES
    text = str(problem["msg"])
    is_ours = text.startswith(_OWN) and not field.endswith("_id")
    if kind == "missing" or not (is_ours or field in rules.TAKES):
        return _SENTENCES.get(kind, text.removeprefix(_OWN))
    return text.removeprefix(_OWN) if is_ours else rules.TAKES[field]
