"""Explain invalid fields of a job to its sender, without repeating their values."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

_ID = "must be a Wix id, like 4b296c48-0000-4000-8000-000000000001"
_AMOUNT = (
    'must be a decimal in quotes with at most 15 digits before and 4 after the point, like "12.50"'
)
#: What each field accepts, where pydantic's message would be a pattern or a parser error.
_TAKES: Mapping[str, str] = MappingProxyType(
    {
        "refund_id": "must be 1 to 100 letters, digits and . _ : - and start with a letter or"
        " digit, like rf-2024-000123",
        "store_id": _ID,
        "order_id": _ID,
        "amount": _AMOUNT,
        "shipping": _AMOUNT,
        "currency": "must be three capital letters, like EUR",
        "line_item_id": "must be Wix's id of a line: 1 to 100 characters, not only blanks",
        "additional_fee_id": "must be Wix's id of a fee: 1 to 100 characters, not only blanks",
        "quantity": "must be a whole number from 1 to 100000",
        "manual_payments": "must be escalate or record",
        "restock": "must be true or false",
        "notify_buyer": "must be true or false",
    }
)
_OWN = "Value error, "


def in_words(problem: Mapping[str, Any]) -> str:
    """Return one of pydantic's errors as the rest of a sentence that begins with the field."""
    kind, place = str(problem["type"]), problem["loc"]
    # The keys of `metadata` are the caller's, even if they are called like one of our fields.
    field = str(place[-1]) if place and place[0] != "metadata" else ""
    if kind == "missing":
        return "is required"
    if kind == "extra_forbidden":
        return "there is no such field"
    text = str(problem["msg"])
    is_ours = text.startswith(_OWN) and _TAKES.get(field) != _ID
    if is_ours or field not in _TAKES:
        return text.removeprefix(_OWN)
    return _TAKES[field]
