"""What is wrong with a job: a list of errors with field, rule and the shape of the value."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from itertools import islice
from typing import Any, NamedTuple

from . import rules

#: Maximum number of characters of a value whose shape is shown.
_SHOWN = 40


class FieldError(NamedTuple):
    """One invalid field."""

    field: str
    """Where it is, such as `lines.0.quantity`; `job` for all fields together."""
    rule: str
    """The rule that it breaks: one word of `rules.RULES`."""
    text: str
    """The rest of a sentence that begins with the field."""
    value: str | None
    """The shape of the value, such as `"9,99"` for 1,50 in quotes; None if none was given."""


class InvalidJob(ValueError):
    """A job that cannot become a refund. The message names the fields, never their values."""

    def __init__(self, problems: Mapping[str, str], job: Mapping[str, Any] | None = None) -> None:
        named = dict(islice(problems.items(), rules.MOST_PROBLEMS))
        if len(problems) > len(named):
            named["job"] = f"has {len(problems)} invalid fields"
        self.problems = named
        self.errors = [_error(field, text, job or {}) for field, text in named.items()]
        super().__init__("; ".join(f"{field}: {text}" for field, text in named.items()))


def as_tables(errors: Iterable[FieldError]) -> list[dict[str, Any]]:
    """Return the errors ready for JSON; the texts are in `InvalidJob.problems`."""
    return [{"field": one.field, "rule": one.rule, "value": one.value} for one in errors]


#: Compact JSON in ASCII, and in UTF-8.
escaped = json.JSONEncoder(separators=(",", ":"), default=str).encode
_exact = json.JSONEncoder(separators=(",", ":"), default=str, ensure_ascii=False).encode


def is_too_large(job: Mapping[str, Any], in_ascii: str = "") -> bool:
    """Whether the job has more than 64 KiB as compact JSON in UTF-8."""
    # With escapes it is never shorter, so most jobs need no second look.
    if len(in_ascii or escaped(job)) <= rules.MOST_BYTES:
        return False
    return len(_exact(job).encode("utf-8", "surrogatepass")) > rules.MOST_BYTES


def unknown(name: str, known: Iterable[str]) -> str:
    """Return what to say about a field that does not exist, with the known one nearest to it."""
    from difflib import get_close_matches  # noqa: PLC0415 - most jobs never need it

    near = get_close_matches(name[: rules.LONGEST_NAME], list(known), n=1)
    return f"{rules.UNKNOWN}; did you mean {near[0]}?" if near else rules.UNKNOWN


def shape_of(value: object) -> str:
    """Return what a value looks like without what it says: letters are a, digits are 9.

    >>> shape_of("1,50 EUR"), shape_of(12.5), shape_of([1])
    ('"9,99 AAA"', '99.9', 'list of 1')
    """
    if isinstance(value, str):
        more = "..." if len(value) > _SHOWN else ""
        return f'"{_masked(value[:_SHOWN])}{more}"'
    if isinstance(value, (bool, type(None))):
        return json.dumps(value)
    if isinstance(value, (int, float)):
        return "number" if _is_long(value) else _masked(str(value))
    if isinstance(value, Mapping):
        return f"table of {len(value)}"
    is_list = isinstance(value, Sequence) and not isinstance(value, bytes)
    return f"list of {len(value)}" if is_list else type(value).__name__  # type: ignore[arg-type]  # it is one


def _is_long(number: float) -> bool:
    """Whether Python may refuse to write it, or it would fill a line."""
    return isinstance(number, int) and number.bit_length() > 100


def _masked(text: str) -> str:
    text = re.sub(r"[^\x20-\x7e]", "?", text)
    return re.sub("[0-9]", "9", re.sub("[A-Z]", "A", re.sub("[a-z]", "a", text)))


def _error(field: str, text: str, job: Mapping[str, Any]) -> FieldError:
    is_given, value = _find(job, field)
    return FieldError(field, rules.rule_of(text), text, shape_of(value) if is_given else None)


def _find(job: Mapping[str, Any], field: str) -> tuple[bool, Any]:
    """Return whether the job has a field, and its value. Keys of `metadata` may contain dots."""
    name, _, rest = field.partition(".")
    found: Any = job
    for part in (
        name,
        *([rest] if name == "metadata" and rest else rest.split(".") if rest else ()),
    ):
        if isinstance(found, Mapping) and part in found:
            found = found[part]
        elif isinstance(found, Sequence) and part.isdigit() and int(part) < len(found):
            found = found[int(part)]
        else:
            return False, None
    return True, found
