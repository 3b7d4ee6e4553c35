"""Turns data into HTML. Everything is escaped and masked here, wherever it comes from."""

from __future__ import annotations

import hashlib
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup, escape

from worker.observability.printable import printable, printable_json
from worker.observability.redaction import redact, redact_text
from worker.operations.describing import store_state
from worker.operations.durations import amounts, span
from worker.operations.timeline import flat

FOLDER = Path(__file__).parent / "templates"


def environment() -> Environment:
    """Return what renders the templates."""
    made = Environment(
        loader=FileSystemLoader(FOLDER),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=shown,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    for filter_ in (moment, span, amounts, document, words, plain, marked, id_field, store_state):
        made.filters[filter_.__name__] = filter_
    return made


def shown(value: object) -> object:
    """Return a value as text without secrets and without characters that cannot be seen.

    The template escapes it afterwards.
    """
    if isinstance(value, Markup):
        return value
    return "" if value is None else printable(redact_text(str(value)))


def marked(item_id: object) -> str:
    """Return an id for a link or a form: itself, or a mark of it if it cannot be shown as it is.

    Such is the id of a message that looks like a secret, or has characters that cannot be seen.
    """
    if shown(item_id) == item_id:
        return str(item_id)
    return f"masked-{hashlib.sha256(str(item_id).encode()).hexdigest()[:16]}"


def id_field(cell: str) -> str:
    """Return the field of a form that holds the ids that are selected in a cell."""
    return f"id.{cell}" if cell else "id"


def moment(unix_ms: Any) -> Markup:
    """Return a time of the ledger, to the second, as an element that programs can read, too."""
    if not isinstance(unix_ms, int | float) or not unix_ms:
        return Markup("")
    at = datetime.fromtimestamp(unix_ms / 1000, UTC)
    text = f"{at:%Y-%m-%d %H:%M:%S}"
    return Markup('<time datetime="{}">{}</time>').format(at.isoformat(), text)


def document(value: Any) -> Markup:
    """Return a record as indented JSON."""
    text = json.dumps(redact(value), indent=2, ensure_ascii=False, default=str)
    return escape(printable_json(text))


def plain(value: Any, name: str = "") -> Any:
    """Return a field of a record in words; what its name says is a time, as a time."""
    if name.endswith("_at_ms") and isinstance(value, int):
        return moment(value)
    return flat(redact(value, name))


def words(name: str) -> str:
    """Return the name of a field or state for people."""
    return name.replace("_", " ")
