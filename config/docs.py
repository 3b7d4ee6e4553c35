"""Documentation of the settings, generated from the `Settings` class."""

from __future__ import annotations

import re
import shlex

from pydantic.fields import FieldInfo

from config.loading import example, variable
from config.settings import Settings

_LINK = re.compile(r"\[[^]]+\]\(([^)]+)\)")


def _default(info: FieldInfo) -> str:
    if info.is_required():
        return "required"
    return "" if info.default in (None, "", "{}", "null") else f"`{example(info)}`"


def settings_table() -> str:
    """Return the settings as a Markdown table, for config/README.md."""
    rows = ["| variable | default | meaning |", "|---|---|---|"]
    rows += [
        f"| `{variable(name)}` | {_default(info)} | {_text(info)} |"
        for name, info in Settings.model_fields.items()
    ]
    return "\n".join(rows) + "\n"


def env_example() -> str:
    """Return the text of `.env.example`; optional settings are commented out."""
    parts = ["# Generated from config/settings.py by `make docs`. Copy it to .env and fill it in."]
    for name, info in Settings.model_fields.items():
        mark = "" if info.is_required() else "#"
        value = shlex.quote(example(info)) if example(info) else ""
        parts.append(f"\n# {_without_links(_text(info))}\n{mark}{variable(name)}={value}")
    return "\n".join(parts) + "\n"


def _text(info: FieldInfo) -> str:
    return " ".join((info.description or "").split())


def _without_links(text: str) -> str:
    """Put the target of each link in its place, as seen from the top of the repository."""
    return _LINK.sub(
        lambda link: f"config/README.md{link[1]}".replace("config/README.md../", ""), text
    )
