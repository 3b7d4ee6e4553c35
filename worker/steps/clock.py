"""A clock that keeps running while the machine is suspended, because leases expire in real time.

Its readings can be compared within one boot of the machine, also between processes.
"""

from __future__ import annotations

import time
import uuid
from pathlib import Path

_CLOCK = getattr(time, "CLOCK_BOOTTIME", None)


def boottime() -> float:
    """Return seconds since an arbitrary moment, including suspensions where possible (Linux)."""
    return time.monotonic() if _CLOCK is None else time.clock_gettime(_CLOCK)


def boot_id(file: Path = Path("/proc/sys/kernel/random/boot_id")) -> str:
    """Return an id of this boot of the machine; of this process where the system has none."""
    try:
        return file.read_text(encoding="ascii").strip()
    except OSError:
        return uuid.uuid4().hex
