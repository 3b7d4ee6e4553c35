"""The first page: how things stand, and what needs a person."""

from __future__ import annotations

from collections.abc import Iterable

from starlette.responses import Response

from worker.console.desk import Desk, Visit
from worker.operations.status_lines import Line, status_lines


def overview(desk: Desk, visit: Visit) -> Response:
    """Show what `refunds status` shows."""
    told = desk.read_status()
    return visit.page(
        "overview.html",
        title="Overview",
        told=told,
        parts=grouped(status_lines(told)),
    )


def grouped(lines: Iterable[Line]) -> list[tuple[str, list[str]]]:
    """Return the lines by label; a line without one continues the line before."""
    parts: list[tuple[str, list[str]]] = []
    for label, text in lines:
        if label or not parts:
            parts.append((label, []))
        parts[-1][1].append(text.strip())
    return parts
