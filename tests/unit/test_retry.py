"""The waits between retries, and when the retries end."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from worker.steps.retry import FLOOR_MS, RetryPolicy

POLICY = RetryPolicy(first_ms=1_000, cap_ms=900_000, for_s=86_400, attempts=12)


def test_the_bounds_double_up_to_the_cap() -> None:
    """1 s, 2 s, 4 s, ... up to 15 minutes."""
    assert [POLICY.poll_ms(n) for n in (1, 2, 3, 10, 11, 500)] == [
        1_000, 2_000, 4_000, 512_000, 900_000, 900_000,
    ]  # fmt: skip


@settings(deadline=None)
@given(st.integers(1, 10_000), st.floats(0, 1, exclude_max=True))
def test_the_jitter_is_full_but_never_below_the_floor(attempt: int, drawn: float) -> None:
    """A wait lies between the floor and the bound, whatever number is drawn."""
    wait_ms = POLICY.wait_ms(attempt, lambda: drawn)
    assert FLOOR_MS <= wait_ms <= POLICY.poll_ms(attempt)


@settings(deadline=None)
@given(st.integers(1, 50), st.integers(0, 3_600_000))
def test_a_wait_is_never_shorter_than_retry_after(attempt: int, asked_ms: int) -> None:
    """Wix knows best when it can answer again."""
    assert POLICY.wait_ms(attempt, lambda: 0.5, retry_after_ms=asked_ms) >= asked_ms


def test_retries_end_only_when_both_time_and_attempts_are_used_up() -> None:
    """Neither many failures in a short time nor a few over a day make a dead letter."""
    assert not POLICY.is_used_up(500, failing_for_ms=86_399_999)
    assert not POLICY.is_used_up(11, failing_for_ms=86_400_000)
    assert POLICY.is_used_up(12, failing_for_ms=86_400_000)
