"""Calls that are not made, because too few replicas of Redis have their intent."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

#: The counter of a minute (`worker/queue/counters.lua`).
COUNTER = "unconfirmed"
#: How many of the last minutes count.
MINUTES = 3
#: In how many of them there must be some: after a failover replicas are away for a moment.
LASTING = 2


def unconfirmed_of(minutes: Sequence[Mapping[str, str]]) -> int:
    """Return how many there were lately, 0 if that did not last; *minutes* are counters."""
    counts = [int(minute.get(COUNTER, 0)) for minute in minutes[-MINUTES:]]
    return sum(counts) if sum(map(bool, counts)) >= LASTING else 0


def unconfirmed_needs(count: int) -> Iterator[tuple[str, str]]:
    """Yield what needs a person, and what to type next."""
    if count:
        text = (
            "Too few replicas of Redis confirm what is written: in the last"
            f" {MINUTES} minutes calls were not made {count} times."
        )
        yield text, "refunds doctor"
