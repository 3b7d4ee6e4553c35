"""When to try again (pure). `worker/README.md` shows the same as a table.

A wait is drawn uniformly from 0 to min(cap, first x 2^(attempt-1)): full jitter, so that a thousand
refunds that failed together do not come back together. Source: AWS, "Exponential Backoff and
Jitter".
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from config.settings import Settings

#: The shortest wait: without it, jitter near zero would hammer Wix.
FLOOR_MS = 50
#: Pauses between the attempts to commit a finished step while Redis is unavailable.
COMMIT_PAUSES_S = (0.5, 1.0, 2.0, 4.0, 8.0)
#: Why a mutating call is not made yet, for each status of its intent.
HELD_BACK: Mapping[str, str] = MappingProxyType(
    {
        "held_back": "Redis restarted or was replaced, and may have forgotten a call",
        "unconfirmed": "too few replicas of Redis confirm what was written",
    }
)


@dataclass(frozen=True, kw_only=True)
class RetryPolicy:
    """How the waits between retries grow, and when the retries end."""

    first_ms: int
    """Upper bound of the first wait."""
    cap_ms: int
    """Upper bound of every wait."""
    for_s: int
    """The retries end only when this time has passed ..."""
    attempts: int
    """... and this number of attempts has been made: both, not either."""

    @classmethod
    def from_settings(cls, settings: Settings) -> RetryPolicy:
        """Return the policy for failed steps."""
        return cls(
            first_ms=settings.retry_first_ms,
            cap_ms=settings.retry_cap_ms,
            for_s=settings.retry_for_s,
            attempts=settings.retry_attempts,
        )

    def wait_ms(
        self, attempt: int, random: Callable[[], float], *, retry_after_ms: int | None = None
    ) -> int:
        """Return milliseconds to wait after *attempt* (1-based); *random* returns [0, 1).

        A longer *retry_after_ms*, from Wix's `Retry-After`, takes precedence.
        """
        drawn = max(FLOOR_MS, round(self.poll_ms(attempt) * random()))
        return max(drawn, retry_after_ms or 0)

    def poll_ms(self, attempt: int) -> int:
        """Return milliseconds to wait after look *attempt* (1-based): growing, without jitter."""
        return min(self.cap_ms, self.first_ms << min(max(attempt - 1, 0), 40))

    def is_used_up(self, attempt: int, *, failing_for_ms: int) -> bool:
        """Whether to give up after *attempt* (1-based), having failed for *failing_for_ms*."""
        return attempt >= self.attempts and failing_for_ms >= self.for_s * 1000
