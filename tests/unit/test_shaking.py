"""What a script does not use of the shared parts is left out; what it uses is not."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from worker.ledger import nesting, scripts, shaking
from worker.ledger.lanes import LaneRules

SHARED = """
-- a comment that names second
local a, b = 1, 2
local function first() return a end
if KEYS[1] then
    return b
end
local TABLE = {
    x = 1,
}
local function second()
    return first() + TABLE.x
end
"""
LUA = Path(scripts.__file__).parent / "lua"


class _Client:
    """Takes scripts, and gives their texts back."""

    def register_script(self, text: str) -> str:
        """Return the text."""
        return text


def _shaken(main: str) -> str:
    statements = shaking.statements(shaking.without_comments(SHARED))
    return "".join(one.text for one in shaking.shaken(statements, main)[0])


def _scripts() -> dict[str, Any]:
    parts = {*scripts.SHARED, *scripts.SOMETIMES}
    names = sorted(path.stem for path in LUA.glob("*.lua") if path.stem not in parts)
    client: Any = _Client()
    return dict(scripts.load_scripts(client, names, namespace="n", lanes=LaneRules(4)))


def test_a_function_is_left_out_with_what_only_it_uses() -> None:
    """A statement that defines nothing stays, with what it uses."""
    kept = _shaken("return a")
    assert kept == "local a, b = 1, 2\nif KEYS[1] then\n    return b\nend\n"


def test_what_a_function_uses_is_kept_in_order() -> None:
    """Also over several functions, and a table of several lines."""
    assert _shaken("return second()") == shaking.without_comments(SHARED).lstrip()


def test_a_function_is_put_into_the_only_one_that_uses_it() -> None:
    """Also over several functions; one that the script itself uses stays where it is."""
    text = """
local a = 1
local function lowest(x) return a + x end
local function low() return lowest(1) end
local function other()
    return lowest(2)
end
local function high(b) return low() + other() + b end
local function both() return a end
local function top() return both() end
"""
    found = nesting.nested(shaking.statements(text), "return high(1) + both() + top()")
    assert (
        found
        == """\
local a = 1
local function high(b)
 local function lowest(x) return a + x end
 local function low() return lowest(1) end
 local function other()
     return lowest(2)
 end
 return low() + other() + b end
local function both() return a end
local function top() return both() end
"""
    )


@pytest.mark.parametrize(
    "user",
    [
        "local function user(a) return inner() + a end\n",
        "local TABLE = {inner()}\n",
        f"local function user() return inner({', '.join(f'v{n}' for n in range(60))}) end\n",
    ],
)
def test_a_function_stays_where_it_is(user: str) -> None:
    """It would see a parameter in the place of its variable, or there are too many of them."""
    many = "".join(f"local v{n} = {n}\n" for n in range(60))
    text = f"local a = 1\n{many}local function inner() return a end\n{user}"
    assert nesting.nested(shaking.statements(text), "return user or TABLE") == text


@pytest.mark.parametrize("name", sorted(scripts.OF_STEPS))
def test_a_function_in_another_one_is_used_nowhere_else(name: str) -> None:
    """Elsewhere its name would mean nothing."""
    text = _scripts()[name]
    tops = [one for one in shaking.statements(text) if one.defined or "main()" in one.text]
    inner = {
        found: one
        for one in tops
        for found in re.findall(r"^ +local function (\w+)", one.text, re.MULTILINE)
    }
    assert inner
    for found, holder in inner.items():
        assert all(one is holder or found not in one.used for one in tops)


def test_a_script_that_leaves_nothing_to_the_end_does_not_call_finish() -> None:
    """One that changes a record, a lane or a rate does."""
    made = _scripts()
    assert "\nfinish()\n" not in made["intent"]
    assert "\nfinish()\n" not in made["status"]
    for name in ("accept", "claim", "commit", "fetch", "give_back", "wake"):
        assert "\nfinish()\n" in made[name]


@pytest.mark.parametrize("name", sorted(_scripts()))
def test_a_script_has_all_shared_functions_that_it_calls(name: str) -> None:
    """A function that is missing would be an error only when it is called."""
    text = _scripts()[name]
    parts = [LUA / f"{part}.lua" for part in (*scripts.SHARED, *scripts.SOMETIMES)]
    head = "".join(path.read_text() for path in parts)
    shared = set(re.findall(r"^local function (\w+)", head, re.MULTILINE))
    defined = set(re.findall(r"\blocal function (\w+)", text))
    called = set(re.findall(r"(?<![\w.:])(\w+)\(", text))
    assert called & shared <= defined


@pytest.mark.parametrize("part", [*scripts.SHARED, *scripts.SOMETIMES])
def test_all_variables_of_a_shared_statement_are_known(part: str) -> None:
    """One that is not seen would be left out, although a script uses it, and be nil there."""
    text = shaking.without_comments((LUA / f"{part}.lua").read_text())
    assert not re.search(r"\[=*\[", text)
    found = [one for one in shaking.statements(text) if one.text.startswith("local ")]
    assert found
    for one in found:
        line = one.text.splitlines()[0]
        if line.startswith("local function "):
            assert one.defined == set(re.findall(r"^local function (\w+)\(", line))
            continue
        names = line.removeprefix("local ").partition("=")[0].split(",")
        assert one.defined == {name.strip() for name in names}
        assert not re.search(r";| local ", line)
