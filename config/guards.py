"""The texts of the money guards' limits, such as `100 refunds, 5000 USD; SITE_ID: 20000 USD`."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from functools import lru_cache
from types import MappingProxyType

#: In the place of a store id: what applies to every store that has no limits of its own.
EVERY_STORE = ""
_AMOUNT = re.compile(r"(\d{1,11}(?:\.\d{1,4})?) ([A-Z]{3})")
_COUNT = re.compile(r"(\d{1,9}) refunds?")
_STORE = re.compile(r"\s*([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}):(.*)", re.IGNORECASE)
_SURGE = re.compile(r"(\d{1,4}(?:\.\d{1,2})?)x above (\d{1,6})")


@dataclass(frozen=True)
class Limit:
    """At most so many refunds, and so much in each currency."""

    count: int | None = None
    """None for any number."""
    amounts: Mapping[str, Decimal] = field(default_factory=dict)
    """By currency; one that is not in it has no limit."""


@dataclass(frozen=True)
class Surge:
    """When the number of a store's refunds in an hour is a surge."""

    times: Decimal
    """So many times its usual number per hour ..."""
    above: int
    """... and more than this."""


@lru_cache
def parse_limits(text: str | None) -> Mapping[str, Limit]:
    """Return the limits by store id, and those of `EVERY_STORE`; none for None.

    Raises:
        ValueError: the text is not as it must be; the message does not repeat it.
    """
    if text is None:
        return MappingProxyType({})
    first, *others = text.split(";")
    found = {EVERY_STORE: _limit(first)}
    for part in others:
        match = _STORE.fullmatch(part)
        if not match or match[1].lower() in found:
            raise ValueError("each part after a ; must be SITE_ID: LIMITS, with each store once")
        found[match[1].lower()] = _limit(match[2])
    return MappingProxyType(found)


def limit_for(text: str | None, store_id: str) -> Limit:
    """Return the limit that applies to a store."""
    limits = parse_limits(text)
    return limits.get(store_id) or limits.get(EVERY_STORE) or Limit()


def _limit(text: str) -> Limit:
    count: int | None = None
    amounts: dict[str, Decimal] = {}
    for item in (one.strip() for one in text.split(",")):
        if (match := _COUNT.fullmatch(item)) and count is None:
            count = int(match[1])
        elif (match := _AMOUNT.fullmatch(item)) and match[2] not in amounts:
            amounts[match[2]] = Decimal(match[1])
        else:
            raise ValueError("expected limits like `100 refunds` and `5000 USD`, each once")
    return Limit(count, amounts)


def parse_surge(text: str | None) -> Surge | None:
    """Return when a number of refunds is a surge; None for never.

    Raises:
        ValueError: the text is not as it must be.
    """
    if text is None:
        return None
    match = _SURGE.fullmatch(text)
    if not match or Decimal(match[1]) < 1:
        raise ValueError("expected `TIMESx above NUMBER`, with TIMES at least 1")
    return Surge(Decimal(match[1]), int(match[2]))


def check_limits(text: str) -> str:
    """Check limits that stores may have."""
    parse_limits(text)
    return text


def check_totals(text: str) -> str:
    """Check limits for all stores together."""
    if len(parse_limits(text)) > 1:
        raise ValueError("limits for all stores together cannot name a store")
    return text


def check_amounts(text: str) -> str:
    """Check limits of one refund: amounts only."""
    if any(limit.count is not None for limit in parse_limits(text).values()):
        raise ValueError("expected amounts like `500 USD`, not a number of refunds")
    return text


def check_surge(text: str) -> str:
    """Check when a number of refunds is a surge."""
    parse_surge(text)
    return text
