"""The first page: how things stand, and what needs a person."""

from __future__ import annotations

from collections.abc import Iterable

from starlette.responses import Response

from worker.console.desk import Visit
from worker.console.desks import Desks
from worker.console.plots import BAR_MIN, HEIGHT, WIDTH
from worker.operations.joined_status import CELL_COLUMNS, cell_row
from worker.operations.status_lines import Line, status_lines

#: The page for what `refunds status` says to type next, by how the command begins.
_PAGES_OF = {
    "refunds dead list": "/dead",
    "refunds list --reason-code needs_approval": "/approvals",
    "refunds stores check ": "/store?id=",
    "refunds stores list": "/stores",
}


def overview(desks: Desks, visit: Visit) -> Response:
    """Show what `refunds status` shows."""
    told = desks.read_status(10)
    return visit.page(
        "overview.html",
        title="Overview",
        told=told,
        needs=[{**need, "address": _address(need["command"])} for need in told["needs"]],
        plots=desks.trends.plots(),
        bar_min=BAR_MIN,
        width=WIDTH,
        height=HEIGHT,
        parts=grouped(status_lines(told)),
        rows=[cell_row(*one) for one in told.get("cells", {}).items()],
        columns=CELL_COLUMNS,
    )


def _address(command: str) -> str:
    """Return the page that shows what a command shows, "" if there is none."""
    for begin, address in _PAGES_OF.items():
        if command.startswith(begin):
            return address + command[len(begin) :] if address.endswith("=") else address
    return ""


def grouped(lines: Iterable[Line]) -> list[tuple[str, list[str]]]:
    """Return the lines by label; a line without one continues the line before."""
    parts: list[tuple[str, list[str]]] = []
    for label, text in lines:
        if label or not parts:
            parts.append((label, []))
        parts[-1][1].append(text.strip())
    return parts
