"""The parts of the documents that are made from code: from `<!-- NAME -->` to `<!-- end -->`."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, get_args

from pydantic import BaseModel

from config.docs import env_example, settings_table
from statemachine.diagram import mermaid
from tests.chaos.figures import figures_table
from worker.observability.events import events_table
from worker.refund.reasons import reasons_table
from worker.refund.request import RefundRequest
from worker.simulator.scenario import scenario_table

ROOT = Path(__file__).parents[2]
README = ROOT / "README.md"
ENV_EXAMPLE = ROOT / ".env.example"

#: The words of the JSON schema, for people.
_TYPES = {
    "string": "text",
    "integer": "number",
    "boolean": "`true` or `false`",
    "array": "list of tables",
    "object": "table of texts",
}


def job_table() -> str:
    """The fields of a job, for whoever sends one."""
    rows = ["| field | type | needed? | meaning |", "|---|---|---|---|"]
    return "\n".join([*rows, *_job_rows(RefundRequest)]) + "\n"


def _job_rows(model: type[BaseModel], inside: str = "") -> Iterator[str]:
    shapes = model.model_json_schema()["properties"]
    for name, info in model.model_fields.items():
        needed = "yes" if info.is_required() else "no"
        meaning = " ".join((info.description or "").split())
        yield f"| `{inside}{name}` | {_type_of(shapes[name])} | {needed} | {meaning} |"
        for inner in get_args(info.annotation):
            if isinstance(inner, type) and issubclass(inner, BaseModel):
                yield from _job_rows(inner, f"{inside}{name}[].")


def _type_of(shape: Mapping[str, Any]) -> str:
    if "enum" in shape:
        return " or ".join(f"`{one}`" for one in shape["enum"])
    options = shape.get("anyOf", [shape])
    return _TYPES.get(options[0].get("type", ""), "")


PARTS: Mapping[str, str] = {
    "states": f"```mermaid\n{mermaid()}```\n",
    "job": job_table(),
    "scenario": scenario_table(),
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
