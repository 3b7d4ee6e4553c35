"""Checks requests for the shape that Wix documents. W3.

A rule checks one value: `rule.check(value, field, strict)` yields its violations. Null counts as
absent. With *strict*, undocumented fields are violations.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Protocol

Json = dict[str, Any]
_GUID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_DECIMAL = re.compile(r"-?\d+(\.\d+)?")


def violation(at: str, rule: str, description: str, **data: Any) -> Json:
    """Return one field violation, as in the body of an answer."""
    return {
        "field": at,
        "description": description,
        "violatedRule": rule,
        "ruleName": None,
        "data": data,
    }


class Rule(Protocol):
    """Checks a value."""

    def check(self, value: Any, at: str, *, strict: bool) -> Iterator[Json]:
        """Yield the violations of *value*, the value of the field *at*."""


@dataclass(frozen=True)
class Text:
    """A string; perhaps a GUID, or one of a set of values."""

    min: int = 0
    max: int = 1_000_000
    guid: bool = False
    among: frozenset[str] = frozenset()

    def check(self, value: Any, at: str, *, strict: bool) -> Iterator[Json]:
        """Yield MIN_LENGTH, MAX_LENGTH, FORMAT or INVALID_ENUM_VALUE."""
        del strict
        if not isinstance(value, str):
            yield violation(at, "VALIDATION", "must be a string")
        elif self.guid and not _GUID.fullmatch(value):
            yield violation(at, "FORMAT", "must be a valid GUID", type="GUID")
        elif self.among and value not in self.among:
            yield violation(at, "INVALID_ENUM_VALUE", f"has unknown value {value[:50]}")
        elif len(value) < self.min:
            yield violation(at, "MIN_LENGTH", f"is shorter than {self.min}", threshold=self.min)
        elif len(value) > self.max:
            yield violation(at, "MAX_LENGTH", f"is longer than {self.max}", threshold=self.max)


@dataclass(frozen=True)
class Integer:
    """An integer."""

    min: int = 0
    max: int = 2**31 - 1

    def check(self, value: Any, at: str, *, strict: bool) -> Iterator[Json]:
        """Yield MIN or MAX."""
        del strict
        if not isinstance(value, int) or isinstance(value, bool):
            yield violation(at, "VALIDATION", "must be an integer")
        elif value < self.min:
            yield violation(at, "MIN", f"must be at least {self.min}", threshold=self.min)
        elif value > self.max:
            yield violation(at, "MAX", f"must be at most {self.max}", threshold=self.max)


@dataclass(frozen=True)
class Amount:
    """A decimal in a string, without an exponent."""

    max: int = 10**15

    def check(self, value: Any, at: str, *, strict: bool) -> Iterator[Json]:
        """Yield FORMAT, DECIMAL_GTE or DECIMAL_LTE."""
        del strict
        if not isinstance(value, str) or not _DECIMAL.fullmatch(value):
            yield violation(at, "FORMAT", "must be a decimal", type="DECIMAL")
        elif Decimal(value) < 0:
            yield violation(at, "DECIMAL_GTE", "must be at least 0", threshold="0")
        elif Decimal(value) > self.max:
            yield violation(at, "DECIMAL_LTE", f"must be at most {self.max}", threshold=self.max)


@dataclass(frozen=True)
class Boolean:
    """A boolean."""

    def check(self, value: Any, at: str, *, strict: bool) -> Iterator[Json]:
        """Yield VALIDATION."""
        del strict
        if not isinstance(value, bool):
            yield violation(at, "VALIDATION", "must be a boolean")


@dataclass(frozen=True)
class AnyValue:
    """A value of any shape."""

    def check(self, value: Any, at: str, *, strict: bool) -> Iterator[Json]:
        """Yield nothing."""
        del value, at, strict
        yield from ()


@dataclass(frozen=True)
class Array:
    """An array."""

    item: Rule
    min: int = 0
    max: int = 100

    def check(self, value: Any, at: str, *, strict: bool) -> Iterator[Json]:
        """Yield MIN_SIZE or MAX_SIZE, or the violations of the items."""
        if not isinstance(value, list):
            yield violation(at, "VALIDATION", "must be an array")
        elif len(value) < self.min:
            yield violation(at, "MIN_SIZE", f"has fewer than {self.min}", threshold=self.min)
        elif len(value) > self.max:
            yield violation(at, "MAX_SIZE", f"has more than {self.max}", threshold=self.max)
        else:
            for number, item in enumerate(value):
                yield from self.item.check(item, f"{at}[{number}]", strict=strict)


@dataclass(frozen=True)
class Fields:
    """An object, with its fields and the names of the *required* ones."""

    fields: Mapping[str, Rule]
    required: frozenset[str] = field(default=frozenset())

    def check(self, value: Any, at: str, *, strict: bool) -> Iterator[Json]:
        """Yield REQUIRED_FIELD, FIELD_NOT_ALLOWED, and the violations of the fields."""
        if not isinstance(value, dict):
            yield violation(at, "VALIDATION", "must be an object")
            return
        prefix = f"{at}." if at else ""
        for name, rule in self.fields.items():
            inner = value.get(name)
            if inner is not None:
                yield from rule.check(inner, prefix + name, strict=strict)
            elif name in self.required:
                yield from _absent(rule, prefix + name)
        for name in value.keys() - self.fields.keys() if strict else ():
            yield violation(prefix + name, "FIELD_NOT_ALLOWED", "is not allowed")


def _absent(rule: Rule, at: str) -> Iterator[Json]:
    """Treat an absent array as an empty one, as in the documented example."""
    if isinstance(rule, Array):
        yield from rule.check([], at, strict=False)
    else:
        yield violation(at, "REQUIRED_FIELD", "must not be empty")
