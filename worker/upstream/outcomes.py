"""Read the events that the worker writes: CloudEvents 1.0 in one Redis stream."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    import redis

#: How long the server waits for the next event before it answers that there is none, ms.
BLOCK_MS = 500
_PAGE = 500


class Outcome(NamedTuple):
    """One event, and its place in the stream."""

    position: str
    """Give it as *after* to continue behind this event."""
    event: dict[str, Any]
    """A CloudEvent: `type`, `id`, `subject` (the refund's id), `time`, `data`."""


def stream_key(namespace: str) -> str:
    """Return the key of the stream."""
    return f"{{{namespace}}}:outcomes"


class Pages:
    """Reads the stream from one place on, page by page."""

    def __init__(self, client: redis.Redis, namespace: str, after: str) -> None:
        self._client = client
        self._stream = stream_key(namespace)
        self.after = after

    def next(self, *, block_ms: int | None) -> list[Outcome]:
        """Return the next events, oldest first; wait so long for the first one, None for not.

        Raises:
            redis.RedisError: the server does not answer; continue after the last position.
        """
        answer: Any = self._client.xread({self._stream: self.after}, count=_PAGE, block=block_ms)
        entries = answer[0][1] if isinstance(answer, list) and answer else []
        if isinstance(answer, dict) and answer:
            entries = answer[self._stream][0]
        found = [outcome_of(position, fields["event"]) for position, fields in entries]
        self.after = found[-1].position if found else self.after
        return found


def outcome_of(position: str, text: str) -> Outcome:
    """Return one entry of the stream."""
    return Outcome(position, json.loads(text))


def read(
    client: redis.Redis, namespace: str, *, after: str = "0", follow: bool = False
) -> Iterator[Outcome]:
    """Yield the events behind a position, oldest first; forever with *follow*.

    Raises:
        redis.RedisError: the server does not answer; continue after the last position.
    """
    pages = Pages(client, namespace, after)
    while (page := pages.next(block_ms=BLOCK_MS if follow else None)) or follow:
        yield from page
