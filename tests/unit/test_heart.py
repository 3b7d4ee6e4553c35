"""Whether this worker's leases can be trusted without asking."""

from __future__ import annotations

import pytest
from dramatiq.errors import ConnectionClosed

from worker.scheduler.heart import Heart


class Clock:
    """A monotonic clock that the test moves."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    """Starts at 100 s."""
    return Clock()


def test_a_fresh_beat_is_trusted_and_a_late_one_is_not(clock: Clock) -> None:
    """Half of what others wait, so that doubt comes long before anybody takes our work."""
    heart = Heart(lambda: None, dead_after_ms=10_000, monotonic=clock)
    assert not heart.is_surely_alive(clock.now)
    heart.beat()
    clock.now += 1
    assert heart.is_surely_alive(100.5)
    clock.now += 5
    assert not heart.is_surely_alive(100.5)


def test_a_pause_is_remembered_for_steps_that_began_before_it(clock: Clock) -> None:
    """Frozen for a minute, then beating again: what was claimed before stays in doubt."""
    heart = Heart(lambda: None, dead_after_ms=10_000, monotonic=clock)
    heart.beat()
    claimed = clock.now + 0.5
    clock.now += 60
    heart.beat()
    assert not heart.is_surely_alive(claimed)
    assert heart.is_surely_alive(clock.now)


def test_a_beat_that_was_not_answered_does_not_count(clock: Clock) -> None:
    """Only Redis can say that we live."""

    def refuse() -> None:
        raise ConnectionClosed(None)  # type: ignore[no-untyped-call]  # dramatiq's

    heart = Heart(refuse, dead_after_ms=10_000, monotonic=clock)
    with pytest.raises(ConnectionClosed):
        heart.beat()
    assert not heart.is_surely_alive(clock.now)


def test_a_beat_counts_from_when_it_was_asked_for(clock: Clock) -> None:
    """A slow answer tells of the past."""

    def slow() -> None:
        clock.now += 6

    heart = Heart(slow, dead_after_ms=10_000, monotonic=clock)
    heart.beat()
    assert not heart.is_surely_alive(clock.now)
