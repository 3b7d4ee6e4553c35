"""Trims outcomes by their age, and tells which consumer group keeps old ones from being trimmed."""

from __future__ import annotations

import time
from collections.abc import Callable

from config.settings import Settings
from worker.ledger.keeping import Keeping
from worker.observability.events import log_event

DAY_MS = 86_400_000
#: How many outcomes one turn trims at most.
LIMIT = 10_000
#: Pause after all that is too old is trimmed, s.
IDLE_S = 600.0


#: In front of the name of a webhook, where else stands the name of a consumer group.
WEBHOOK = "webhook "


def reader_name(reader: str) -> str:
    """Return who keeps outcomes from being trimmed, in words."""
    return f"the {reader}" if reader.startswith(WEBHOOK) else f"the consumer group {reader}"


class Trimmer:
    """Trims the stream of outcomes, piece by piece."""

    def __init__(
        self,
        keeping: Keeping,
        settings: Settings,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._keeping = keeping
        self._keep_ms = settings.keep_outcomes_days * DAY_MS
        self._monotonic = monotonic
        self._next_s = 0.0

    def turn(self) -> None:
        """Trim the next outcomes; those that a consumer group needs stay, and that is told."""
        if self._monotonic() < self._next_s:
            return
        trimmed, behind = self._keeping.trim_outcomes(keep_ms=self._keep_ms, limit=LIMIT)
        if trimmed:
            log_event("outcomes.trimmed", count=trimmed)
        # The server trims whole nodes, so it may stop a little before the limit.
        if trimmed > LIMIT // 2:
            return
        for group, since_ms in behind.items():
            log_event("outcomes.unread", group=group, since_ms=since_ms)
        self._next_s = self._monotonic() + IDLE_S
