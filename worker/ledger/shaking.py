"""Removes from a script the shared functions that it does not use.

Each time a script runs, the server creates a closure for each `local function`, and its garbage
collector traverses all scripts again and again. So a function costs as much if it is never called.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple

_COMMENT = re.compile(r"^[ \t]*--.*\n", re.MULTILINE)
#: Where a statement begins that is in no function: at the start of a line.
_STATEMENT = re.compile(r"^(?=[A-Za-z_])(?!end\b|else\b|elseif\b)", re.MULTILINE)
_DEFINED = re.compile(r"local (?:function (\w+)|(\w+(?:, \w+)*))")
_NAME = re.compile(r"[A-Za-z_]\w*")


class Statement(NamedTuple):
    """A statement of Lua that is in no function, with the names of its variables."""

    text: str
    defined: frozenset[str]
    """Local variables; a statement without any is always kept."""
    used: frozenset[str]
    """All words in it, so rather too many than too few."""


def without_comments(text: str) -> str:
    """Leave out the lines that are comments."""
    return _COMMENT.sub("", text)


def statements(text: str) -> tuple[Statement, ...]:
    """Return the statements of a text that has no comments."""
    return tuple(map(_statement, filter(str.strip, _STATEMENT.split(text))))


def _statement(text: str) -> Statement:
    found = _DEFINED.match(text)
    names = (found[1] or found[2]).split(", ") if found else []
    return Statement(text, frozenset(names), names_in(text))


def names_in(text: str) -> frozenset[str]:
    """Return all words of a text that may be names of variables."""
    return frozenset(_NAME.findall(text))


def shaken(shared: Sequence[Statement], main: str) -> tuple[list[Statement], frozenset[str]]:
    """Return what *main* uses of the shared statements, and all names that are used then."""
    kept, used = [], set(names_in(main))
    # In Lua a local variable is defined before the functions that use it.
    for one in reversed(shared):
        if not one.defined or one.defined & used:
            kept.append(one)
            used |= one.used
    return kept[::-1], frozenset(used)
