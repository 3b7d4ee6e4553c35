"""What a script looks up by a text, as a function of Lua: a table would be filled in each run."""

from __future__ import annotations

import json
from collections.abc import Mapping


def lua_lookup(name: str, results: Mapping[str, str | int | bool]) -> str:
    """Return a function of Lua with this name; its result for any other text is nil."""
    cases = (
        f"    if text == {json.dumps(text)} then return {json.dumps(result)} end\n"
        for text, result in results.items()
    )
    return f"local function {name}(text)\n{''.join(cases)}end\n"
