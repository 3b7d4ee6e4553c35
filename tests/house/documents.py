"""The parts of the documents that are made from code: from `<!-- NAME -->` to `<!-- end -->`."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from config.docs import env_example, settings_table
from statemachine.diagram import mermaid
from tests.chaos.figures import figures_table
from worker.events import events_table
from worker.reasons import reasons_table

ROOT = Path(__file__).parents[2]
README = ROOT / "README.md"
ENV_EXAMPLE = ROOT / ".env.example"

PARTS: Mapping[str, str] = {
    "states": f"```mermaid\n{mermaid()}```\n",
    "settings": settings_table(),
    "reasons": reasons_table(),
    "events": events_table(),
    "figures": figures_table(),
}


def with_parts(text: str) -> str:
    """The text with every made part as the code has it now."""
    for name, part in PARTS.items():
        text = with_figures(text, name, part)
    return text


def with_figures(text: str, name: str, part: str) -> str:
    """The text with one part replaced."""
    pattern = rf"(<!-- {name} -->\n).*?(<!-- end -->)"
    made = part.replace("\\", r"\\")
    text, count = re.subn(pattern, rf"\g<1>{made}\g<2>", text, flags=re.DOTALL)
    if count != 1:
        raise ValueError(f"{name} must stand once in the README, not {count} times")
    return text


if __name__ == "__main__":
    README.write_text(with_parts(README.read_text()))
    ENV_EXAMPLE.write_text(env_example())
