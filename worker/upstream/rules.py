"""The rules for the fields of a job, and what is said when one is broken."""

from __future__ import annotations

import re
from collections.abc import Mapping
from types import MappingProxyType

_ID = "must be a Wix id, like 4b296c48-0000-4000-8000-000000000001"
_AMOUNT = (
    'must be a decimal in quotes with at most 15 digits before and 4 after the point, like "12.50"'
)
_MOMENT = "must be a time with its offset, like 2026-01-31T08:00:00Z"
_PART = "must be Wix's id of a {}: 1 to 100 characters, not only blanks"
#: What each field accepts, as the rest of a sentence that begins with the field.
TAKES: Mapping[str, str] = MappingProxyType(
    {
        "refund_id": "must be 1 to 100 letters, digits and . _ : - and start with a letter or"
        " digit, like rf-2024-000123",
        "store_id": _ID,
        "order_id": _ID,
        "order_number": "must be the order's number: 1 to 50 characters without blanks, like 10124",
        "amount": _AMOUNT,
        "shipping": _AMOUNT,
        "currency": "must be three capital letters, like EUR",
        "line_item_id": _PART.format("line"),
        "additional_fee_id": _PART.format("fee"),
        "quantity": "must be a whole number from 1 to 100000",
        "manual_payments": "must be escalate or record",
        "version": "must be 1",
        "priority": "must be normal or high",
        "not_before": _MOMENT,
        "expires_at": _MOMENT,
        "reason_code": "must be one of the codes in REASON_CODES, like defective",
        "traceparent": "must be a W3C trace parent, like"
        " 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        "callback": "must be the name of a webhook: 1 to 50 small letters, digits, _ and -",
        "restock": "must be true or false",
        "notify_buyer": "must be true or false",
    }
)
REQUIRED = "is required"
UNKNOWN = "there is no such field"
EMPTY = "must not be empty; leave it out to refund all of the order"
NOTHING = "must be more than 0"
NEEDS_CURRENCY = "currency is required with any amount, including shipping and fees"
NEEDS_LINES = "restock requires lines or a full refund"
TWO_ORDERS = "order_number cannot be given beside order_id"
TWO_TOTALS = "amount cannot be given beside amounts of lines"
NEVER = "expires_at must be later than not_before"
NO_WEBHOOK = "must be the name of a webhook that gets outcomes of this store"
NOT_TEXT = "must be text"
NOT_A_LIST = "must be a list"
NOT_A_TABLE = "must be a table"

REFUND_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:-]{0,99}")
AMOUNT = re.compile(r"[0-9]{1,15}(\.[0-9]{1,4})?")
#: Most amounts: certainly more than 0.
PLAIN_AMOUNT = re.compile(r"[1-9][0-9]{0,14}(\.[0-9]{1,4})?")
#: A GUID as it is sent; other spellings are brought into this form.
PLAIN_GUID = re.compile("[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
CURRENCY = re.compile(r"[A-Z]{3}")
MOMENT = re.compile(
    r"2[0-9]{3}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,6})?(Z|[+-][0-9]{2}:[0-9]{2})"
)
TRACEPARENT = re.compile(
    "(?!ff)[0-9a-f]{2}-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}"
)
ORDER_NUMBER = re.compile(r"[^\x00-\x20\x7f-\xa0]{1,50}")
CALLBACK = re.compile("[a-z0-9][a-z0-9_-]{0,49}")
#: More than blanks, as Unicode defines them.
NOT_BLANK = re.compile(
    "[^\t-\r \x85\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]",
)
#: Maximum number of invalid fields that an error names.
MOST_PROBLEMS = 50
#: A GUID with braces.
LONGEST_GUID = 38
LONGEST_PART = 100
MOST_UNITS = 100_000
MOST_LINES = 300
MOST_FEES = 100
MOST_NOTES = 20
#: Maximum size of a job as compact JSON in UTF-8: 64 KiB.
MOST_BYTES = 65_536
TOO_LARGE = f"must have at most {MOST_BYTES} bytes as JSON"
NOT_NOTES = f"must be a table of at most {MOST_NOTES} texts"
#: Maximum number of characters; for `metadata`, of each value; for `lines`, of each reason.
LONGEST: Mapping[str, int] = MappingProxyType(
    {"reason": 500, "requested_by": 100, "metadata": 1_000, "lines": 200}
)
#: Maximum number of characters of a key in `metadata`.
LONGEST_NAME = 100
BROKEN = "contains half a character (a lone surrogate)"
WRONG_KEYS = f"keys must be valid text of at most {LONGEST_NAME} characters"

#: The rules that a field can break, and what each one means.
RULES: Mapping[str, str] = MappingProxyType(
    {
        "required": "the field is missing",
        "unknown": "there is no such field",
        "type": "the value is of another type",
        "format": "the text, number or word is not one that the field accepts",
        "empty": "an empty list, which must not mean everything",
        "zero": "an amount of nothing",
        "too_long": "too many characters, items or bytes",
        "broken_text": "half a character, which UTF-8 cannot encode",
        "combination": "the fields contradict each other",
        "message": "the message around the job is malformed",
        "more": "there are more invalid fields than are listed",
    }
)
_RULE_OF: Mapping[str, str] = MappingProxyType(
    {
        REQUIRED: "required",
        EMPTY: "empty",
        NOTHING: "zero",
        BROKEN: "broken_text",
        NEEDS_CURRENCY: "combination",
        NEEDS_LINES: "combination",
        TWO_TOTALS: "combination",
        TWO_ORDERS: "combination",
        NEVER: "combination",
        NO_WEBHOOK: "format",
        NOT_TEXT: "type",
        NOT_A_LIST: "type",
        NOT_A_TABLE: "type",
        NOT_NOTES: "too_long",
        WRONG_KEYS: "too_long",
        **dict.fromkeys(TAKES.values(), "format"),
    }
)


def at_most(limit: int, what: str) -> str:
    """Return the sentence about a limit."""
    return f"must have at most {limit} {what}"


def rule_of(text: str) -> str:
    """Return the rule that a sentence is about: one of `RULES`."""
    if text.startswith(UNKNOWN):
        return "unknown"
    if text.startswith("must have at most "):
        return "too_long"
    if text.startswith("has ") and text.endswith(" invalid fields"):
        return "more"
    return _RULE_OF.get(text, "message")


def moment_ms(text: str) -> int:
    """Return a time as unix ms.

    Raises:
        ValueError: it is none.
    """
    if not MOMENT.fullmatch(text):
        raise ValueError(_MOMENT)
    from datetime import datetime, timedelta, timezone  # noqa: PLC0415 - most jobs have none

    whole, _, rest = text.partition(".")
    digits = rest.rstrip("Z").partition("+")[0].partition("-")[0] if rest else ""
    offset = "+00:00" if text.endswith("Z") else text[-6:]
    moment = datetime.fromisoformat(f"{whole[:19]}.{digits:0<6}{offset}")
    since = moment - datetime(1970, 1, 1, tzinfo=timezone.utc)
    return since // timedelta(milliseconds=1)


def is_broken(text: str) -> bool:
    """Whether the text contains lone surrogates, which UTF-8 cannot encode."""
    if text.isascii():
        return False
    try:
        text.encode()
    except UnicodeEncodeError:
        return True
    return False
