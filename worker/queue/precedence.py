"""Jobs go before steps while their queue is long, for some seconds.

Where Wix answers quickly, steps would otherwise take most of the CPU time, and upstream would learn
late that its jobs are accepted. Where it answers slowly, steps cost little, and a quiet store must
not wait for a thread: so half of them go on.
"""

from __future__ import annotations

import time
from collections.abc import Callable

#: For how long steps give way at most, until the queue has been short again.
LONGEST_S = 5.0
#: One in so many threads runs steps meanwhile.
SHARE = 2


class Precedence:
    """Whether steps give way to jobs, in one process."""

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        #: Since when the queue is long; None if it is short.
        self._since_s: float | None = None

    def saw_line(self, *, is_long: bool) -> None:
        """Note whether the last fetch of jobs left more of them."""
        if not is_long:
            self._since_s = None
        elif self._since_s is None:
            self._since_s = self._monotonic()

    def holds(self) -> bool:
        """Whether steps give way now."""
        since_s = self._since_s
        return since_s is not None and self._monotonic() - since_s < LONGEST_S

    def threads(self, threads: int) -> int:
        """Return how many of so many threads run steps."""
        return max(1, threads // SHARE) if self.holds() else threads
