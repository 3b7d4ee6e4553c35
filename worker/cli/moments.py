"""Moments that people write: "24h", "2026-01-31", "2026-01-31T08:00Z"."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Annotated

import typer

from worker.cli.common import fail

Since = Annotated[
    str, typer.Option("--since", help="From then on: an age like 90m, 24h or 7d, or ISO 8601.")
]
Until = Annotated[
    str, typer.Option("--until", help="Until then: an age like 90m, 24h or 7d, or ISO 8601.")
]

_AGE = re.compile(r"(\d{1,6})([smhd])")
_UNIT_MS = {"s": 1_000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}


def since_ms(text: str, option: str = "--since", now: Callable[[], float] = time.time) -> int:
    """Return a moment in unix ms, 0 if none was given; a time without a zone is in UTC."""
    if not text:
        return 0
    if age := _AGE.fullmatch(text.strip().lower()):
        return round(now() * 1000) - int(age[1]) * _UNIT_MS[age[2]]
    try:
        moment = datetime.fromisoformat(text.strip())
    except ValueError:
        fail(f"{option} takes an age like 90m, 24h or 7d, or a time like 2026-01-31T08:00Z", code=2)
    known = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return max(0, round(known.timestamp() * 1000))
