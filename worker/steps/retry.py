"""When to try again (pure). The README shows the same as a table.

A wait is drawn evenly from 0 to min(cap, first x 2^(attempt-1)): full jitter, so that a thousand
refunds that failed together do not come back together. Source: AWS, "Exponential Backoff and
Jitter".
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

#: Never sooner, or a jitter near zero would hammer Wix.
FLOOR_MS = 50


@dataclass(frozen=True, kw_only=True)
class RetryPolicy:
    """How one kind of waiting grows and ends."""

    first_ms: int
    """Upper bound of the first wait."""
    cap_ms: int
    """Upper bound of every wait."""
    for_s: int
    """A failure is given up only after this time ..."""
    attempts: int
    """... and this number of attempts: both must be used up."""

    def wait_ms(
        self, attempt: int, random: Callable[[], float], *, retry_after_ms: int | None = None
    ) -> int:
        """Milliseconds until the attempt after *attempt* (1-based); *random* gives [0, 1).

        What the other side asked for (`Retry-After`) is obeyed when it is longer.
        """
        drawn = max(FLOOR_MS, round(self.poll_ms(attempt) * random()))
        return max(drawn, retry_after_ms or 0)

    def poll_ms(self, attempt: int) -> int:
        """Milliseconds until the look after look *attempt* (1-based): growing, without jitter."""
        return min(self.cap_ms, self.first_ms << min(max(attempt - 1, 0), 40))

    def is_used_up(self, attempt: int, *, failing_for_ms: int) -> bool:
        """Whether a failure of attempt *attempt* is the last, failing for so long by now."""
        return attempt >= self.attempts and failing_for_ms >= self.for_s * 1000
