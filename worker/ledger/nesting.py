"""Moves a shared function of a script into the only function that calls it.

Each time a script runs, the server creates a closure for each function that the script defines,
although most steps need half of them, and for each variable that a closure captures it searches
all variables that are captured already. A nested function is only created if the one around it is
called.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from worker.ledger.shaking import Statement, names_in

#: Variables of the functions around it that a function of Lua may use.
MOST_VARIABLES = 60
_FUNCTION = re.compile(r"local function \w+\(([^)]*)\)")


def nested(shared: Sequence[Statement], main: str) -> str:
    """Return the text of the *shared* statements, which are in front of *main*."""
    variables = frozenset[str]().union(*(one.defined for one in shared))
    last = Statement("", frozenset(), names_in(main))
    # From the end, so that what a function uses is still in front of it.
    after: list[Statement] = [last]
    for one in reversed(shared):
        users = [place for place, other in enumerate(after) if one.defined & other.used]
        if len(users) == 1 and (held := _held(one, after[users[0]], variables)):
            after[users[0]] = held
        else:
            after.insert(0, one)
    return "".join(one.text for one in after[:-1])


def _held(one: Statement, user: Statement, variables: frozenset[str]) -> Statement | None:
    """Return *user* with the function *one* in it; None if that cannot be."""
    head = _FUNCTION.match(user.text)
    if not head or not _FUNCTION.match(one.text):
        return None
    used = one.used | user.used
    # A parameter would hide the variable of this name.
    if names_in(head[1]) & variables or len(used & variables) > MOST_VARIABLES:
        return None
    inner = re.sub("^", " ", one.text.rstrip("\n"), flags=re.MULTILINE)
    body = user.text[head.end() :].lstrip("\n")
    return Statement(f"{head[0]}\n{inner}\n{body}", user.defined, used)
