"""Limits per store: refunds in flight, and calls to Wix per minute.

The scripts move the lanes (`lua/lanes.lua`), in the same atomic write that claims or commits.
"""

from __future__ import annotations

from dataclasses import dataclass

from worker.ledger import rate


@dataclass(frozen=True)
class LaneRules:
    """The rules of admission, the same for every store."""

    width: int
    """Maximum number of refunds in flight."""
    calls_per_min: int = 0
    """Maximum number of calls to Wix; 0 for no limit. W7."""
    retry_for_s: int = 0
    """For how long a failing refund is tried again; later its store's pause ends that."""

    def constants(self) -> str:
        """Return the rules as Lua constants."""
        own = f"local WIDTH = {self.width}\nlocal RETRY_FOR_MS = {1000 * self.retry_for_s}\n"
        return own + rate.constants(self.calls_per_min)
