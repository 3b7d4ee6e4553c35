"""How many calls each site makes within a minute. W7."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

from worker.simulator.script.flags import Flags

MINUTE_MS = 60_000


@dataclass
class Quota:
    """The times of the calls that count, by site; the caller holds the lock."""

    counted: dict[str, deque[int]] = field(default_factory=dict)

    def allows(self, site_id: str, flags: Flags, now_ms: int) -> bool:
        """Count one call; False if the site makes too many."""
        if not flags.quota_per_min:
            return True
        fixed = flags.quota_window == "fixed"
        start_ms = now_ms - now_ms % MINUTE_MS if fixed else now_ms - MINUTE_MS + 1
        times = self.counted.setdefault(site_id, deque())
        while times and times[0] < start_ms:
            times.popleft()
        is_allowed = len(times) < flags.quota_per_min
        if is_allowed or flags.quota_counts_refused:
            times.append(now_ms)
        return is_allowed
