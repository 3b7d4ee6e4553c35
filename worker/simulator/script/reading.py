"""Reads what people write (TOML, `name=value`), and names the place of what is wrong."""

from __future__ import annotations

import json
import re
import types
import uuid
from collections.abc import Callable, Iterable, Mapping
from datetime import date, datetime, time
from decimal import Decimal, InvalidOperation
from typing import Any, Literal, NewType, Union, get_args, get_origin, get_type_hints

#: Texts of a shape, written like any text.
Moment = NewType("Moment", str)
Guid = NewType("Guid", str)
Currency = NewType("Currency", str)


class Wrong(ValueError):
    """Raised when something written cannot be used; its text is one sentence with the place."""


def table(
    kind: type, given: Mapping[str, Any], place: str, *, leave_out: Iterable[str] = (), **also: Any
) -> dict[str, Any]:
    """The fields of *kind* (a dataclass) in the mapping *given*, as arguments.

    *also* are further fields and their types, *leave_out* those that nobody may write.

    Raises:
        Wrong: a field is not known, or its value does not fit.
    """
    kinds = fields_of(kind, leave_out=leave_out, **also)
    for name in given:
        if name not in kinds:
            raise Wrong(f"{place}.{name}: there is no such field; there are {_some(kinds)}")
    return {name: value(kinds[name], given[name], f"{place}.{name}") for name in given}


def fields_of(kind: type, *, leave_out: Iterable[str] = (), **also: Any) -> dict[str, Any]:
    """The fields that `table` takes, and their types."""
    hidden = set(leave_out)
    return {name: of for name, of in get_type_hints(kind).items() if name not in hidden} | also


def value(kind: Any, given: Any, place: str) -> Any:
    """*given* as the type *kind* wants it.

    Raises:
        Wrong: it does not fit.
    """
    options = get_args(kind) if get_origin(kind) in {Union, types.UnionType} else (kind,)
    if given is None and type(None) in options:
        return None
    kind = options[0]
    if get_origin(kind) is Literal:
        if given not in get_args(kind):
            raise Wrong(f"{place}: must be one of {_some(get_args(kind))}, not {shown(given)}")
        return given
    if kind in _SHAPES:
        return _shaped(kind, given, place)
    if kind is Decimal:
        return _amount(given, place)
    if kind is str and isinstance(given, datetime):
        return given.isoformat().replace("+00:00", "Z")
    if get_origin(kind) in {list, tuple, frozenset}:
        items = [value(get_args(kind)[0], item, place) for item in _list(given, place)]
        return get_origin(kind)(items)
    plain = dict if get_origin(kind) is dict else kind
    fits = kind is Any or (
        isinstance(given, plain) and (kind is not int or not isinstance(given, bool))
    )
    if not fits:
        raise Wrong(f"{place}: must be {words(kind)}, not {shown(given)}")
    if kind is int and given < 0:
        raise Wrong(f"{place}: must not be negative, as {given} is")
    return given


def _list(given: Any, place: str) -> list[Any]:
    if not isinstance(given, list):
        raise Wrong(f"{place}: must be a list, not {shown(given)}")
    return given


def _amount(given: Any, place: str) -> Decimal:
    try:
        amount = Decimal(given) if isinstance(given, str | int) else Decimal("NaN")
    except InvalidOperation:
        amount = Decimal("NaN")
    if not amount.is_finite():
        raise Wrong(f'{place}: must be an amount in quotes, like "12.50", not {shown(given)}')
    if amount < 0:
        raise Wrong(f"{place}: must not be negative, as {given} is")
    return amount


def _moment(given: Any) -> str | None:
    try:
        when = given if isinstance(given, datetime) else datetime.fromisoformat(given)
    except (TypeError, ValueError):
        return None
    if when.tzinfo is None:
        return None
    return given if isinstance(given, str) else when.isoformat().replace("+00:00", "Z")


def _guid(given: Any) -> str | None:
    try:
        return str(uuid.UUID(given))
    except (TypeError, ValueError, AttributeError):
        return None


def _currency(given: Any) -> str | None:
    return given if isinstance(given, str) and re.fullmatch("[A-Z]{3}", given) else None


#: How each shape is read, and what it is in people's words.
_SHAPES: Mapping[Any, tuple[Callable[[Any], str | None], str]] = {
    Moment: (_moment, "a date and time with a zone, like 2025-01-02T03:04:05Z"),
    Guid: (_guid, "a UUID, like 4b296c48-0000-4000-8000-000000000001"),
    Currency: (_currency, "three capital letters, like EUR"),
}


def _shaped(kind: Any, given: Any, place: str) -> str:
    read, takes = _SHAPES[kind]
    text = read(given)
    if text is None:
        raise Wrong(f"{place}: must be {takes}, not {shown(given)}")
    return text


def shown(given: Any) -> str:
    """A value as TOML writes it."""
    return str(given) if isinstance(given, date | time) else json.dumps(given, default=str)


def words(kind: Any) -> str:
    """A type in people's words."""
    if get_origin(kind) is Literal:
        return _some(get_args(kind))
    if get_origin(kind) in {Union, types.UnionType}:
        return " or ".join("none" if one is type(None) else words(one) for one in get_args(kind))
    names = {bool: "true or false", int: "a whole number", str: "text", dict: "a table"}
    return names.get(get_origin(kind) or kind, str(kind))


def _some(names: Iterable[Any]) -> str:
    return ", ".join(str(name) for name in names)
