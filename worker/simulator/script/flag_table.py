"""The table of flags, and reading their values from the command line."""

from __future__ import annotations

import ast
import inspect
import types
from collections.abc import Iterable, Mapping
from dataclasses import fields
from typing import Any, Literal, NamedTuple, Union, get_args, get_origin, get_type_hints

from worker.simulator.script.flags import Flags
from worker.simulator.script.reading import InvalidInput, read, table_of

FLAGS = table_of(Flags)


class FlagRow(NamedTuple):
    """One flag, as `refunds simulator --flags` shows it."""

    name: str
    values: str
    default: Any
    meaning: str


def flag_rows() -> list[FlagRow]:
    """Return all flags in the order of the source, with their docstrings."""
    body = ast.parse(inspect.getsource(Flags)).body[0]
    assert isinstance(body, ast.ClassDef)  # noqa: S101 - for the type checker
    meanings = {}
    for field, text in zip(body.body, body.body[1:], strict=False):
        if isinstance(field, ast.AnnAssign) and isinstance(text, ast.Expr):
            meanings[ast.unparse(field.target)] = ast.literal_eval(text.value)
    kinds = get_type_hints(Flags)
    return [
        FlagRow(field.name, _words(kinds[field.name]), field.default, meanings[field.name])
        for field in fields(Flags)
    ]


def _words(kind: Any) -> str:
    """Describe the values of a type."""
    if get_origin(kind) is Literal:
        return ", ".join(get_args(kind))
    if get_origin(kind) in {Union, types.UnionType}:
        return " or ".join(_words(one) for one in get_args(kind))
    names: Mapping[Any, str] = {
        bool: "true or false", int: "a whole number", type(None): "none",
    }  # fmt: skip
    return names[kind]


def checked_flags(given: Mapping[str, Any], prefix: str = "flags.") -> dict[str, Any]:
    """Return the flags, validated.

    Raises:
        InvalidInput: a name is unknown or a value invalid; the text lists the valid ones.
    """
    return read(FLAGS, dict(given), prefix)


def flags_from_text(pairs: Iterable[str]) -> dict[str, Any]:
    """Return the flags that are given as `name=value` on the command line.

    Raises:
        InvalidInput: a name is unknown or a value invalid; the text lists the valid ones.
    """
    kinds = get_type_hints(Flags)
    given: dict[str, Any] = {}
    for pair in pairs:
        name, is_given, text = pair.partition("=")
        if not is_given:
            raise InvalidInput(f"--flag {pair}: write it as name=value")
        given[name] = _from_text(kinds.get(name), text)
    return checked_flags(given, "--flag ")


def _from_text(kind: Any, text: str) -> Any:
    """Convert numbers, true, false and none; leave other texts as they are."""
    if kind is bool:
        return {"true": True, "false": False}.get(text.lower(), text)
    if kind in {int, int | None} and text.isdecimal():
        return int(text)
    return None if kind == int | None and text == "none" else text
