"""Moments that people write: "24h", "2026-01-31", "2026-01-31T08:00Z"."""

from __future__ import annotations

from typing import Annotated

import typer

from worker.cli.common import fail
from worker.operations.filters import BadFilter, moment_ms

Since = Annotated[
    str,
    typer.Option(
        "--since", help="Only from this time on: an age like 90m, 24h or 7d, or ISO 8601."
    ),
]
Until = Annotated[
    str,
    typer.Option("--until", help="Only until this time: an age like 90m, 24h or 7d, or ISO 8601."),
]


def since_ms(text: str, option: str = "--since") -> int:
    """Return a moment in unix ms, 0 if none was given; a time without a zone is in UTC."""
    try:
        return moment_ms(text)
    except BadFilter as bad:
        fail(f"{option} takes {bad.takes}", code=2)
