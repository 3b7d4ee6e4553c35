"""When to try again."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from worker.steps.retry import FLOOR_MS, RetryPolicy

POLICY = RetryPolicy(first_ms=1_000, cap_ms=900_000, for_s=86_400, attempts=12)


def test_the_bounds_double_up_to_the_cap() -> None:
    """1 s, 2 s, 4 s ... 15 minutes."""
    assert [POLICY.poll_ms(n) for n in (1, 2, 3, 10, 11, 500)] == [
        1_000, 2_000, 4_000, 512_000, 900_000, 900_000,
    ]  # fmt: skip


@given(st.integers(1, 10_000), st.floats(0, 1, exclude_max=True))
def test_the_jitter_is_full_and_never_nothing(attempt: int, drawn: float) -> None:
    """Anywhere between the floor and the bound, whatever is drawn."""
    wait_ms = POLICY.wait_ms(attempt, lambda: drawn)
    assert FLOOR_MS <= wait_ms <= POLICY.poll_ms(attempt)


@given(st.integers(1, 50), st.integers(0, 3_600_000))
def test_retry_after_is_never_undercut(attempt: int, asked_ms: int) -> None:
    """The other side knows better."""
    assert POLICY.wait_ms(attempt, lambda: 0.5, retry_after_ms=asked_ms) >= asked_ms


def test_it_is_given_up_only_when_time_and_attempts_are_over() -> None:
    """A short storm of failures does not bury a refund, nor does one failure after a day."""
    assert not POLICY.is_used_up(500, failing_for_ms=86_399_999)
    assert not POLICY.is_used_up(11, failing_for_ms=86_400_000)
    assert POLICY.is_used_up(12, failing_for_ms=86_400_000)
