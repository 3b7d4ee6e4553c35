"""A clock that goes on while the machine is suspended: a lease is a matter of real time."""

from __future__ import annotations

import time


def boottime() -> float:
    """Seconds since an arbitrary moment, counting suspensions where the system can (Linux)."""
    clock = getattr(time, "CLOCK_BOOTTIME", None)
    return time.monotonic() if clock is None else time.clock_gettime(clock)
