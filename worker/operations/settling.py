"""How long nothing is changed at Wix yet, because Redis restarted or was replaced."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from worker.cells.names import FRONT
from worker.operations.durations import span
from worker.operations.finding import Finding

#: Stands for all that nobody can ask (`worker/queue/lost_writes.lua`).
NOBODY = "*"


def settling_of(found: Mapping[str, Any], settle_delay_ms: int) -> dict[str, Any]:
    """Return `settling_ms`, and `settling_for`: the workers that can end it sooner.

    *found* is what `lua/status.lua` returns.
    """
    lost_at_ms = float(found["ticked"][2] or 0)
    left_ms = max(0, round(lost_at_ms + settle_delay_ms - found["now_ms"])) if lost_at_ms else 0
    flat = found.get("unvouched")
    if not left_ms or flat is None:
        return {"settling_ms": left_ms, "settling_for": []}
    until_ms = {
        worker: float(since_ms) + settle_delay_ms - found["now_ms"]
        for worker, since_ms in zip(list(flat)[::2], list(flat)[1::2], strict=True)
    }
    waiting = {worker: left for worker, left in until_ms.items() if left > 0}
    names = [] if NOBODY in waiting else sorted(waiting)
    return {"settling_ms": round(max(waiting.values(), default=0)), "settling_for": names}


def settling_text(told: Mapping[str, Any], cell: str) -> str:
    """Return why nothing is changed at Wix, and for how long; "" if that is not so.

    *told* is the status of a ledger (worker.operations.status), which is that of *cell*.
    """
    left_ms, workers = told["settling_ms"], told["settling_for"]
    if not left_ms:
        return ""
    if workers:
        return (
            f"Redis was replaced: nothing is changed at Wix until {' and '.join(workers)} named the"
            f" calls that may be forgotten, at most for another {span(left_ms)}"
        )
    why = "Redis restarted or was replaced"
    if cell != FRONT:
        why += ", or a store moved in after the front had lost writes"
    return f"{why}: nothing is changed at Wix for another {span(left_ms)}"


def settling_lines(told: Mapping[str, Any], listed: int, cell: str) -> Iterator[str]:
    """Yield what a status of one cell, or of all cells, says of it: a line for each cell."""
    if "cells" not in told:
        yield from filter(None, [settling_text(told, cell)])
        return
    texts = {cell: settling_text(one, cell) for cell, one in told["cells"].items()}
    lines = [f"cell {cell}: {text}" for cell, text in texts.items() if text]
    yield from lines[:listed]
    if len(lines) > listed:
        yield f"and {len(lines) - listed:,} more cells"


def settling_findings(told: Mapping[str, Any], cell: str) -> Iterator[Finding]:
    """Say it in `refunds doctor`: it is why refunds do not move, and ends by itself."""
    if text := settling_text(told, cell):
        yield Finding("settling", "note", text)
