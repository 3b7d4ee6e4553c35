"""Who may go next: per store so many refunds in flight, and so many calls to Wix a minute.

The scripts move the lanes (`lua/lanes.lua`), in the same atomic write that claims or settles.
"""

from __future__ import annotations

from dataclasses import dataclass

#: Calls may run ahead of the rate by so much: a step makes several at once.
BURST_MS = 5_000


@dataclass(frozen=True)
class LaneRules:
    """The rules of admission, the same for every store."""

    width: int
    """Refunds in flight at once."""
    calls_per_min: int = 0
    """Calls to Wix on average; 0 for as many as come. W7."""

    def constants(self) -> str:
        """The rules as the scripts know them."""
        per_call_ms = 60_000 // self.calls_per_min if self.calls_per_min else 0
        return (
            f"local WIDTH = {self.width}\n"
            f"local PER_CALL_MS = {per_call_ms}\nlocal BURST_MS = {BURST_MS}\n"
        )
