"""Read the events that the worker writes: CloudEvents 1.0 in one Redis stream."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    import redis

#: How long the server waits for the next event before it answers that there is none, ms.
BLOCK_MS = 2_000
_PAGE = 500


class Outcome(NamedTuple):
    """One event, and its place in the stream."""

    position: str
    """Give it as *after* to continue behind this event."""
    event: dict[str, Any]
    """A CloudEvent: `type`, `id`, `subject` (the refund's id), `time`, `data`."""


def read(
    client: redis.Redis, namespace: str, *, after: str = "0", follow: bool = False
) -> Iterator[Outcome]:
    """Yield the events behind a position, oldest first; forever with *follow*.

    Raises:
        redis.RedisError: the server does not answer; continue after the last position.
    """
    stream = f"{{{namespace}}}:outcomes"
    while True:
        block_ms = BLOCK_MS if follow else None
        answer: Any = client.xread({stream: after}, count=_PAGE, block=block_ms)
        entries = answer[0][1] if isinstance(answer, list) and answer else []
        if isinstance(answer, dict) and answer:
            entries = answer[stream][0]
        for position, fields in entries:
            after = position
            yield Outcome(position, json.loads(fields["event"]))
        if not entries and not follow:
            return
