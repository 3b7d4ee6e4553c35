"""Reads what people write (TOML, `name=value`), and names the place of what is wrong."""

from __future__ import annotations

import types
from collections.abc import Iterable, Mapping
from datetime import datetime
from decimal import Decimal, InvalidOperation
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints


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
    hidden = set(leave_out)
    kinds = {name: of for name, of in get_type_hints(kind).items() if name not in hidden} | also
    for name in given:
        if name not in kinds:
            raise Wrong(f"{place}.{name}: there is no such field; there are {_some(kinds)}")
    return {name: value(kinds[name], given[name], f"{place}.{name}") for name in given}


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
            raise Wrong(f"{place}: must be one of {_some(get_args(kind))}, not {given!r}")
        return given
    if kind is Decimal:
        return _amount(given, place)
    if kind is str and isinstance(given, datetime):
        return given.isoformat().replace("+00:00", "Z")
    if get_origin(kind) in {list, tuple, frozenset}:
        items = [value(get_args(kind)[0], item, place) for item in _list(given, place)]
        return get_origin(kind)(items)
    plain = dict if get_origin(kind) is dict else kind
    fits = kind is Any or (isinstance(given, plain) and (kind is not int or given is not True))
    if not fits:
        raise Wrong(f"{place}: must be {words(kind)}, not {given!r}")
    return given


def _list(given: Any, place: str) -> list[Any]:
    if not isinstance(given, list):
        raise Wrong(f"{place}: must be a list, not {given!r}")
    return given


def _amount(given: Any, place: str) -> Decimal:
    try:
        if isinstance(given, str | int) and Decimal(given).is_finite():
            return Decimal(given)
    except InvalidOperation:
        pass
    raise Wrong(f'{place}: must be an amount in quotes, like "12.50", not {given!r}')


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
