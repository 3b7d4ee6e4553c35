"""How long nothing is changed at Wix yet, because Redis restarted or was replaced."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

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
