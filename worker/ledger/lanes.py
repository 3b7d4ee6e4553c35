"""Limits per store: refunds in flight, and calls to Wix per minute.

The scripts move the lanes (`lua/lanes.lua`), in the same atomic write that claims or commits.
"""

from __future__ import annotations

from dataclasses import dataclass

#: How far calls may run ahead of the rate: a step makes several at once.
BURST_MS = 5_000


@dataclass(frozen=True)
class LaneRules:
    """The rules of admission, the same for every store."""

    width: int
    """Maximum number of refunds in flight."""
    calls_per_min: int = 0
    """Average number of calls to Wix; 0 for no limit. W7."""

    def constants(self) -> str:
        """Return the rules as Lua constants."""
        per_call_ms = 60_000 // self.calls_per_min if self.calls_per_min else 0
        return (
            f"local WIDTH = {self.width}\n"
            f"local PER_CALL_MS = {per_call_ms}\nlocal BURST_MS = {BURST_MS}\n"
        )
