"""The short way for most jobs: check and encode them at once.

It takes only what is certainly right; `job.py` judges all others, and says what is wrong.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from json.encoder import encode_basestring_ascii
from types import MappingProxyType
from typing import Any

from . import rules
from .invalid import escaped

#: Takes a value; returns it as JSON, "" if it says nothing, None if it needs a closer look.
_Encode = Callable[[Any], "str | None"]


def encode_at_once(job: Mapping[str, Any]) -> str | None:
    """Return what `encode_job` would return as JSON; None if the job needs a closer look."""
    text = ""
    for name, value in job.items():
        encode = _ENCODE.get(name)
        part = encode(value) if encode else None
        if part is None:
            return None
        if part:
            text += f',"{name}":{part}'
    if not job.keys() >= _REQUIRED or ("amount" in job and "currency" not in job):
        return None
    return f"{{{text[1:]}}}" if len(text) < rules.MOST_BYTES else None


def _matching(pattern: Callable[[str], Any]) -> _Encode:
    """Return what encodes a text of characters that JSON need not escape."""
    return lambda value: f'"{value}"' if type(value) is str and pattern(value) else None


def _words(longest: int) -> _Encode:
    def encode(value: Any) -> str | None:
        if type(value) is not str or len(value) > longest or not value.isascii():
            return None
        return encode_basestring_ascii(value) if value else ""

    return encode


def _metadata(value: Any) -> str | None:
    if type(value) is not dict or len(value) > rules.MOST_NOTES:
        return None
    longest = rules.LONGEST["metadata"]
    for name, text in value.items():
        if type(name) is not str or type(text) is not str or not (name + text).isascii():
            return None
        if len(name) > rules.LONGEST_NAME or len(text) > longest:
            return None
    return escaped(value) if value else ""


_ENCODE: Mapping[str, _Encode] = MappingProxyType(
    {
        "refund_id": _matching(rules.REFUND_ID.fullmatch),
        "store_id": _matching(rules.PLAIN_GUID.fullmatch),
        "order_id": _matching(rules.PLAIN_GUID.fullmatch),
        "amount": _matching(rules.PLAIN_AMOUNT.fullmatch),
        "currency": _matching(rules.CURRENCY.fullmatch),
        "reason": _words(rules.LONGEST["reason"]),
        "requested_by": _words(rules.LONGEST["requested_by"]),
        "metadata": _metadata,
    }
)
_REQUIRED = frozenset({"refund_id", "store_id", "order_id"})
