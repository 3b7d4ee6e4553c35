"""The generated parts of the README files: from `<!-- NAME -->` to `<!-- end -->`.

Each part is in exactly one README, beside the code that it comes from; `make docs` writes them all.
"""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, get_args

from pydantic import BaseModel

from config.docs import env_example, settings_table
from statemachine.diagram import mermaid
from statemachine.flows import Flow
from tests.benchmarks.tables import bench_table
from tests.chaos.figures import figures_table
from tests.house.runtime_lock import runtime_lock
from worker.deploy.files import FOLDER as DEPLOY
from worker.deploy.roles import acl_files, roles_table
from worker.observability.events import events_table
from worker.operations.metrics.table import metrics_table
from worker.refund.provider_codes import provider_codes_table
from worker.refund.public_status import status_table
from worker.refund.reasons_table import reasons_table
from worker.refund.request import RefundRequest
from worker.refund.schema import NAMES, schema_file, schema_text
from worker.simulator.scenario import scenario_table
from worker.upstream.reason_codes import REASON_CODES

ROOT = Path(__file__).parents[2]
ENV_EXAMPLE = ROOT / ".env.example"

#: The words of the table for types of the JSON schema.
_TYPES = {
    "string": "text",
    "integer": "number",
    "boolean": "`true` or `false`",
    "array": "list of tables",
    "object": "table of texts",
}


def job_table() -> str:
    """Return the fields of a job as Markdown, for worker/refund/README.md."""
    rows = ["| field | type | required | meaning |", "|---|---|---|---|"]
    return "\n".join([*rows, *_job_rows(RefundRequest)]) + "\n"


def _job_rows(model: type[BaseModel], inside: str = "") -> Iterator[str]:
    shapes = model.model_json_schema()["properties"]
    for name, info in model.model_fields.items():
        required = "yes" if info.is_required() else "no"
        meaning = " ".join((info.description or "").split())
        yield f"| `{inside}{name}` | {_type_of(shapes[name])} | {required} | {meaning} |"
        for inner in get_args(info.annotation):
            if isinstance(inner, type) and issubclass(inner, BaseModel):
                yield from _job_rows(inner, f"{inside}{name}[].")


def _type_of(shape: Mapping[str, Any]) -> str:
    if "enum" in shape:
        return " or ".join(f"`{one}`" for one in shape["enum"])
    options = shape.get("anyOf", [shape])
    return _TYPES.get(options[0].get("type", ""), "")


def reason_codes_table() -> str:
    """Return the codes of a job as Markdown, for worker/upstream/README.md."""
    names = ("meaning", "shopify_return", "shopify_cancel", "violet")
    rows = [
        "| `reason_code` | meaning | Shopify return | Shopify cancel | Violet |",
        "|---|---|---|---|---|",
    ]
    for code, row in REASON_CODES.items():
        cells = [getattr(row, name) for name in names]
        rows.append(f"| `{code}` | {cells[0]} | " + " | ".join(f"`{c}`" for c in cells[1:]) + " |")
    return "\n".join(rows) + "\n"


PARTS: Mapping[str, str] = {
    **{f"states-{flow}": f"```mermaid\n{mermaid(flow)}```\n" for flow in Flow},
    "job": job_table(),
    "reason-codes": reason_codes_table(),
    "scenario": scenario_table(),
    "settings": settings_table(),
    "reasons": reasons_table(),
    "provider-codes": provider_codes_table(),
    "events": events_table(),
    "statuses": status_table(),
    "metrics": metrics_table(),
    "roles": roles_table(),
    "figures": figures_table(),
    "bench": bench_table(),
}


def tracked_files(*patterns: str) -> list[str]:
    """Return the paths of the files that git tracks and that exist, relative to the top level."""
    listed = subprocess.run(
        ["git", "ls-files", *patterns], cwd=ROOT, check=True, capture_output=True, text=True
    )
    return [name for name in listed.stdout.splitlines() if (ROOT / name).exists()]


def documents() -> dict[Path, str]:
    """Return the text of each README."""
    paths = [ROOT / "README.md", *sorted(_inner_readmes())]
    return {path: path.read_text() for path in paths}


def _inner_readmes() -> Iterator[Path]:
    """Yield those below the top level; not of installed packages, which npm may just be writing."""
    for folder, inner, files in os.walk(ROOT):
        inner[:] = [name for name in inner if name[0] != "." and name != "node_modules"]
        if "README.md" in files and Path(folder) != ROOT:
            yield Path(folder) / "README.md"


def with_parts(texts: Mapping[Path, str]) -> dict[Path, str]:
    """Return the documents with each generated part written again."""
    current = dict(texts)
    for name, part in PARTS.items():
        current |= with_part(current, name, part)
    return current


def with_part(texts: Mapping[Path, str], name: str, part: str) -> dict[Path, str]:
    """Return the one document that holds the part, with the part replaced.

    Raises:
        ValueError: the part is not in exactly one place.
    """
    pattern = re.compile(rf"(<!-- {name} -->\n).*?(<!-- end -->)", re.DOTALL)
    found = [path for path, text in texts.items() for _ in pattern.findall(text)]
    if len(found) != 1:
        raise ValueError(f"{name} must be in exactly one README; it is in {found or 'none'}")
    [path] = found
    return {path: pattern.sub(lambda match: match[1] + part + match[2], texts[path])}


def write(texts: Mapping[Path, str]) -> None:
    """Write documents back to their files."""
    for path, text in texts.items():
        path.write_text(text)


def deployed() -> dict[Path, str]:
    """Return the text of each generated file in worker/deploy."""
    users = {DEPLOY / "acl" / name: text for name, text in acl_files().items()}
    return {**users, DEPLOY / "requirements.lock": runtime_lock()}


if __name__ == "__main__":
    write(with_parts(documents()))
    write(deployed())
    ENV_EXAMPLE.write_text(env_example())
    for schema in NAMES:
        schema_file(schema).write_text(schema_text(schema))
