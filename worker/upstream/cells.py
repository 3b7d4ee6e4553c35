"""Where the worker's stores live in several cells, each has its own outcomes and records.

Jobs go to the front, whatever cells there are. The front says how many there are.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any, Callable

from .groups import Member
from .outcomes import BLOCK_MS, Outcome, Pages

if TYPE_CHECKING:
    import redis

#: How long the server of each cell waits for the next event, if there are several, ms.
_TURN_MS = 100
#: Separates the positions in the streams of the cells, the front's first.
_SEPARATOR = ","


class Cells:
    """The front and its cells; connections are opened when they are first needed."""

    def __init__(
        self, front: redis.Redis, namespace: str, connect: Callable[[str], redis.Redis]
    ) -> None:
        self.namespaces = [namespace]
        """Those that are known, the front's first."""
        self._front = front
        self._connect = connect
        self._clients = [front]
        self._lock = threading.Lock()

    def look(self) -> None:
        """Ask the front how many there are."""
        import redis  # noqa: PLC0415 - see RefundQueue

        front = self.namespaces[0]
        try:
            found: Any = self._front.hget(f"{{{front}}}:installation", "cells")
        except redis.exceptions.NoPermissionError:
            # The user is of a time before there were cells.
            return
        with self._lock:
            for number in range(len(self.namespaces) - 1, int(found or 0)):
                self._clients.append(self._connect(f"{front}:{number}"))
                self.namespaces.append(f"{front}:{number}")

    def clients(self) -> list[tuple[redis.Redis, str]]:
        """Return the client and the namespace of each."""
        return list(zip(self._clients, self.namespaces))

    def close(self) -> None:
        """Close the connections to all but the front."""
        for client in self._clients[1:]:
            client.close()


class AllPages:
    """Reads the streams of all cells from one position on, page by page.

    A position names a place in each stream: `1700000000000-0,0,1700000000001-3`. Those that it does
    not name begin with their first event.
    """

    def __init__(self, cells: Cells, after: str) -> None:
        self._cells = cells
        self._after = after.split(_SEPARATOR)
        self._pages: list[Pages] = []

    def next(self, *, block: bool) -> list[Outcome]:
        """Return the next events, those of each cell oldest first; with *block* wait a moment.

        Raises:
            redis.RedisError: a server does not answer; continue after the last position.
        """
        if not self._pages:
            self._look()
        found = self._read(BLOCK_MS if block and len(self._pages) == 1 else None)
        if not found and block:
            self._look()
            if len(self._pages) > 1:
                found = self._read(_TURN_MS)
        return found

    def _look(self) -> None:
        self._cells.look()
        for client, namespace in self._cells.clients()[len(self._pages) :]:
            place = len(self._pages)
            after = self._after[place] if place < len(self._after) else "0"
            self._pages.append(Pages(client, namespace, after))

    def _read(self, block_ms: int | None) -> list[Outcome]:
        found: list[Outcome] = []
        positions = [pages.after for pages in self._pages]
        for place, pages in enumerate(self._pages):
            for outcome in pages.next(block_ms=block_ms if not found else None):
                positions[place] = outcome.position
                found.append(Outcome(_SEPARATOR.join(positions), outcome.event))
        return found


class Members:
    """One consumer of a group, in the streams of all cells."""

    def __init__(
        self, cells: Cells, after: str, member: Callable[[redis.Redis, str, str], Member]
    ) -> None:
        self._cells = cells
        self._after = after.split(_SEPARATOR)
        self._member = member
        #: By namespace. The first one checks the names.
        [(client, namespace)] = cells.clients()[:1]
        self._members = {namespace: member(client, namespace, self._after[0])}
        self._has_looked = False

    def take(self) -> list[Outcome]:
        """Return events of which this consumer does not know yet, those of each cell oldest first.

        Raises:
            redis.RedisError: a server does not answer; ask again.
        """
        if not self._has_looked:
            self._look()
        return [outcome for member in self._members.values() for outcome in member.take()]

    def pause(self) -> None:
        """Wait for something new, for a moment."""
        several = len(self._members) > 1
        for member in self._members.values():
            member.pause(_TURN_MS if several else BLOCK_MS)
        self._look()

    def _look(self) -> None:
        self._cells.look()
        self._has_looked = True
        for client, namespace in self._cells.clients()[len(self._members) :]:
            place = len(self._members)
            after = self._after[place] if place < len(self._after) else "0"
            self._members[namespace] = self._member(client, namespace, after)

    def acknowledge(self, outcome: Outcome) -> None:
        """Say that an event was dealt with: nobody gets it again."""
        # Its source ends with the namespace of its cell.
        of_cell = str(outcome.event.get("source")).rpartition("/")[2]
        front = self._members[self._cells.namespaces[0]]
        self._members.get(of_cell, front).acknowledge(outcome)

    def leave(self) -> None:
        """Let the others have what is not acknowledged, at once."""
        for member in self._members.values():
            member.leave()
