"""A core for each process, where there are as many of both.

Threads of one Python process take turns, so one core is enough for them. Where the system moves
them between cores, each turn wakes another core, which costs more than the turn.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress


def cores_for(count: int) -> list[int]:
    """Return a core for each of *count* processes; [] leaves the choice to the system.

    It chooses where there are more processes than cores, or fewer: another program may keep to the
    same core. Only cores that this process may use count.
    """
    if not hasattr(os, "sched_getaffinity"):
        return []
    usable = sorted(os.sched_getaffinity(0))
    return usable if len(usable) == count else []


@contextmanager
def kept_to(core: int) -> Iterator[None]:
    """Let the processes that this thread starts meanwhile use one core only, if that is allowed.

    A sandbox may forbid it, and a core may have been taken away since the program started.
    """
    usable = os.sched_getaffinity(0)
    with suppress(OSError):
        os.sched_setaffinity(0, {core})
    try:
        yield
    finally:
        with suppress(OSError):
            os.sched_setaffinity(0, usable)
