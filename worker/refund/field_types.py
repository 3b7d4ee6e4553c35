"""The types of a job's fields: each checks and normalizes its value."""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Annotated, Any
from uuid import UUID, uuid5

from pydantic import AfterValidator, BeforeValidator, Field

from worker.upstream import rules
from worker.upstream.reason_codes import REASON_CODES


def _as_uuid(text: str) -> str:
    """Normalize a GUID, so that one order always has the same id."""
    return text if rules.PLAIN_GUID.fullmatch(text) else str(UUID(text))


Guid = Annotated[str, Field(max_length=rules.LONGEST_GUID), AfterValidator(_as_uuid)]


def _whole(value: Any) -> Any:
    """Read 1.0 as 1: they are the same number in JSON, and some languages write no other."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


#: Neither a text nor a flag.
WholeNumber = Annotated[int, BeforeValidator(_whole), Field(strict=True)]


def _more_than_nothing(text: str) -> str:
    if not Decimal(text):
        raise ValueError(rules.NOTHING)
    return text


#: Decimals only: "1E+2" and "NaN" are not amounts.
Amount = Annotated[
    str, Field(pattern=f"^{rules.AMOUNT.pattern}$"), AfterValidator(_more_than_nothing)
]


def _matching(name: str, pattern: re.Pattern[str]) -> AfterValidator:
    """Return a check of a text; pydantic's own patterns know no lookahead."""

    def check(text: str) -> str:
        if not pattern.fullmatch(text):
            raise ValueError(rules.TAKES[name])
        return text

    return AfterValidator(check)


def _known_code(code: str) -> str:
    if code not in REASON_CODES:
        raise ValueError(rules.TAKES["reason_code"])
    return code


def _moment(text: str) -> str:
    rules.moment_ms(text)
    return text


def _short(text: str) -> str:
    longest = rules.LONGEST["lines"]
    if len(text) > longest:
        raise ValueError(rules.at_most(longest, "characters"))
    if rules.is_broken(text):
        raise ValueError(rules.BROKEN)
    return text


#: A time with its offset, as it was given.
Moment = Annotated[str, AfterValidator(_moment)]
LineReason = Annotated[str, AfterValidator(_short)]
ReasonCode = Annotated[str, AfterValidator(_known_code)]
TraceParent = Annotated[str, _matching("traceparent", rules.TRACEPARENT)]
OrderNumber = Annotated[str, _matching("order_number", rules.ORDER_NUMBER)]
Callback = Annotated[str, _matching("callback", rules.CALLBACK)]

_STAND_INS = UUID("5f0f2a54-3c59-4c3b-9d0e-6d1f0a3c7b11")


def stand_in_for(store_id: str, order_number: str) -> str:
    """Return the id that stands for an order until Wix has told its own: the same each time."""
    return str(uuid5(_STAND_INS, f"{store_id}/{order_number}"))
