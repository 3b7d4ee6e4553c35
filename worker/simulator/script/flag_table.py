"""The flags as a table for people, and their values from text."""

from __future__ import annotations

import ast
import inspect
from collections.abc import Iterable
from dataclasses import fields
from typing import Any, NamedTuple, get_type_hints

from worker.simulator.script.flags import Flags
from worker.simulator.script.reading import Wrong, value, words


class FlagRow(NamedTuple):
    """One unknown of Wix."""

    name: str
    values: str
    default: Any
    meaning: str


def flag_rows() -> list[FlagRow]:
    """All flags, in their order, with the sentence that stands below each in the source."""
    body = ast.parse(inspect.getsource(Flags)).body[0]
    assert isinstance(body, ast.ClassDef)  # noqa: S101 - for the type checker
    meanings = {}
    for field, text in zip(body.body, body.body[1:], strict=False):
        if isinstance(field, ast.AnnAssign) and isinstance(text, ast.Expr):
            meanings[ast.unparse(field.target)] = ast.literal_eval(text.value)
    kinds = get_type_hints(Flags)
    return [
        FlagRow(field.name, words(kinds[field.name]), field.default, meanings[field.name])
        for field in fields(Flags)
    ]


def checked_flags(given: dict[str, Any], prefix: str = "flags.") -> dict[str, Any]:
    """Flags with the right names and values.

    Raises:
        Wrong: with the right ones.
    """
    kinds = get_type_hints(Flags)
    for name in given:
        if name not in kinds:
            raise Wrong(f"{prefix}{name}: there is no such flag; there are {', '.join(kinds)}")
    return {name: value(kinds[name], given[name], f"{prefix}{name}") for name in given}


def flags_from_text(pairs: Iterable[str]) -> dict[str, Any]:
    """Flags from `name=value`, as the command line gives them.

    Raises:
        Wrong: with the right names or values.
    """
    kinds = get_type_hints(Flags)
    given: dict[str, Any] = {}
    for pair in pairs:
        name, is_given, text = pair.partition("=")
        if not is_given:
            raise Wrong(f"--flag {pair}: write it as name=value")
        given[name] = _from_text(kinds.get(name), text)
    return checked_flags(given, "--flag ")


def _from_text(kind: Any, text: str) -> Any:
    """Numbers and truth as such; anything else stays the text that it is."""
    if kind is bool:
        return {"true": True, "false": False}.get(text.lower(), text)
    if kind in {int, int | None} and text.isdecimal():
        return int(text)
    return None if kind == int | None and text == "none" else text
