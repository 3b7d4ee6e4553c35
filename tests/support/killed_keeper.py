"""A process that archives and forgets, and is killed at a named point."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from config.loading import load_settings
from worker.app import ledger_from
from worker.ledger.keeping import Keeping
from worker.operations.archive import folder
from worker.operations.archive.keeper import Keeper

#: Where it can be killed: the object, its function, and whether it is called before.
POINTS: dict[str, tuple[Any, str, bool]] = {
    "before the mark is forced to the disk": (os, "fsync", False),
    "before the ledger knows the archive": (Keeping, "claim_archive", False),
    "before a file is read back": (folder, "_content", False),
    "before a file gets its name": (Path, "replace", False),
    "after a file got its name": (Path, "replace", True),
    "before the ledger forgets": (Keeping, "forget", False),
    "after the ledger has forgotten": (Keeping, "forget", True),
}


def _killed(call: Callable[..., Any], *, after: bool) -> Callable[..., Any]:
    def inner(*given: Any, **named: Any) -> Any:
        if after:
            call(*given, **named)
        os.kill(os.getpid(), signal.SIGKILL)

    return inner


def archive_until(point: str, environment: Mapping[str, str]) -> None:
    """Archive and forget, with these settings, until the point is reached."""
    settings = load_settings(environment)
    _, ledger = ledger_from(settings)
    where, name, after = POINTS[point]
    setattr(where, name, _killed(getattr(where, name), after=after))
    moments = iter(range(0, 10**9, 10**4))
    keeper = Keeper(ledger.keeping, settings, lambda: next(moments))
    for _ in range(20):
        keeper.turn(lambda: False)
