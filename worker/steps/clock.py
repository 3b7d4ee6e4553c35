"""A clock that keeps running while the machine is suspended, because leases expire in real time."""

from __future__ import annotations

import time


def boottime() -> float:
    """Return seconds since an arbitrary moment, including suspensions where possible (Linux)."""
    clock = getattr(time, "CLOCK_BOOTTIME", None)
    return time.monotonic() if clock is None else time.clock_gettime(clock)
