"""The events as an iterator."""

from __future__ import annotations

from collections import deque
from types import TracebackType

from .cells import AllPages, Members
from .outcomes import Outcome


class Outcomes:
    """The events, oldest first; those of a group come again until they are acknowledged.

    >>> with queue.outcomes(group="billing", follow=True) as events:  # doctest: +SKIP
    ...     for outcome in events:
    ...         book(outcome.event)
    ...         events.acknowledge(outcome)
    """

    def __init__(self, source: Members | AllPages, *, follow: bool) -> None:
        self._source = source
        self._follow = follow
        self._ready: deque[Outcome] = deque()

    def __iter__(self) -> Outcomes:
        return self

    def __next__(self) -> Outcome:
        while not self._ready:
            self._ready.extend(self._next())
            if not self._ready and not self._follow:
                raise StopIteration
        return self._ready.popleft()

    def _next(self) -> list[Outcome]:
        if not isinstance(self._source, Members):
            return self._source.next(block=self._follow)
        found = self._source.take()
        if not found and self._follow:
            self._source.pause()
        return found

    def acknowledge(self, outcome: Outcome) -> None:
        """Say that an event of a group was dealt with: nobody gets it again.

        Raises:
            redis.RedisError: Redis did not answer; acknowledge it again, or get it again.
        """
        member_of(self._source).acknowledge(outcome)

    def close(self) -> None:
        """Let the other consumers of the group have what is not acknowledged, at once."""
        if isinstance(self._source, Members):
            self._source.leave()

    def __enter__(self) -> Outcomes:  # noqa: PYI034 - `Self` came with Python 3.11
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


def member_of(source: Members | AllPages) -> Members:
    """Return the consumer of a group.

    Raises:
        TypeError: there is no group.
    """
    if not isinstance(source, Members):
        raise TypeError("only events of a group are acknowledged")
    return source
