"""Constants for the scripts: tables of Lua, which cost less to make than JSON to decode."""

from __future__ import annotations

import json
from collections.abc import Mapping


def lua_table(fields: Mapping[str, str | float | bool]) -> str:
    """Return a table with these fields as a Lua expression."""
    texts = (f"[{json.dumps(name)}]={json.dumps(value)}" for name, value in fields.items())
    return "{" + ", ".join(texts) + "}"
