"""The messages that a process holds."""

from __future__ import annotations

import threading
from collections.abc import Iterable


class Held:
    """The messages of one queue that this process holds, whichever consumer fetched them."""

    def __init__(self) -> None:
        self._ids: set[str] = set()
        self._begun: set[str] = set()
        self._room = threading.Condition()

    def ids(self) -> list[str]:
        """Return the ids of these messages."""
        with self._room:
            return sorted(self._ids)

    def add(self, ids: Iterable[str]) -> None:
        """Hold these messages, too."""
        with self._room:
            self._ids.update(ids)

    def discard(self, *ids: str) -> None:
        """Hold these messages no longer."""
        with self._room:
            self._ids.difference_update(ids)
            self._begun.difference_update(ids)
            self._room.notify_all()

    def begin(self, *ids: str) -> None:
        """A thread has begun to run these messages."""
        with self._room:
            self._begun.update(ids)

    def is_waiting(self) -> bool:
        """Whether a message waits for a thread; asked often, so it waits for no lock."""
        return len(self._ids) > len(self._begun)

    def has_room(self, limit: int, wait_s: float) -> bool:
        """Whether another message may be held; waits up to *wait_s* for one to leave."""
        with self._room:
            return self._room.wait_for(lambda: len(self._ids) < limit, wait_s)
