"""The payments of a refund are chosen exactly, in the documented order of preference."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from decimal import Decimal
from itertools import product

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from worker.flows.amounts import Source
from worker.flows.choosing import TooManySums, most_of, spread

#: What is left of a payment; whether it is only refunded in full; whether it is only recorded.
Payment = tuple[int, bool, bool]

PAYMENTS = st.lists(
    st.tuples(st.integers(0, 5), st.booleans(), st.booleans()), min_size=0, max_size=5
)


def _sources(payments: Sequence[Payment]) -> list[Source]:
    return [
        Source(
            payment_id=str(number),
            max_refund=Decimal(left),
            only_in_full=whole,
            external=external,
        )
        for number, (left, whole, external) in enumerate(payments)
    ]


def _divisions(payments: Sequence[Payment]) -> Iterator[tuple[int, ...]]:
    """Yield each possible division, by brute force."""
    choices = [(0, left) if whole else range(left + 1) for left, whole, _ in payments]
    yield from product(*choices)


def _rank(payments: Sequence[Payment], division: tuple[int, ...]) -> tuple[object, ...]:
    """Return what makes a division better than another; the smallest is the best."""
    recorded = sum(a for a, (_, _, external) in zip(division, payments, strict=True) if external)
    in_full = sum(a for a, (_, whole, _) in zip(division, payments, strict=True) if whole)
    return recorded, in_full, [-amount for amount in division]


def _chosen(payments: Sequence[Payment], total: int) -> tuple[int, ...] | None:
    shares = spread(Decimal(total), _sources(payments))
    if shares is None:
        return None
    taken = {
        share.source.payment_id: int(
            (share.source.max_refund or 0) if share.amount is None else share.amount
        )
        for share in shares
    }
    assert all(taken.values())
    return tuple(taken.get(str(number), 0) for number in range(len(payments)))


@given(payments=PAYMENTS, total=st.integers(1, 25))
@example(payments=[(4, True, False), (5, True, False), (5, True, False)], total=10)
@example(payments=[(6, True, False), (5, False, True)], total=5)
@example(payments=[(3, False, False), (6, True, False), (5, False, True)], total=5)
@example(payments=[(3, True, True), (4, True, True), (5, False, True), (1, True, False)], total=8)
def test_the_chosen_division_is_the_best_of_all(payments: list[Payment], total: int) -> None:
    """As little as possible is only recorded, then refunded in full; then the first pays most."""
    possible = [d for d in _divisions(payments) if sum(d) == total]
    best = min(possible, key=lambda division: _rank(payments, division), default=None)
    assert _chosen(payments, total) == best


@given(payments=PAYMENTS, total=st.integers(0, 25))
def test_the_largest_amount_that_can_be_divided_is_found(
    payments: list[Payment], total: int
) -> None:
    """If not all of it can be refunded, then as much as possible."""
    largest = max(sum(d) for d in _divisions(payments) if sum(d) <= total)
    assert most_of(Decimal(total), _sources(payments)) == largest


def test_a_payment_in_full_is_sent_without_an_amount() -> None:
    """Wix takes an amount only for a payment that can be refunded in part."""
    shares = spread(Decimal(7), _sources([(5, True, False), (2, False, False)]))
    assert shares is not None
    assert [share.amount for share in shares] == [None, Decimal(2)]


def test_a_search_that_would_take_too_long_is_refused() -> None:
    """Forty gift cards of different values; the sum of all, or the value of one, is found fast."""
    payments: list[Payment] = [(number**4 + 10**6, True, False) for number in range(40)]
    everything = sum(left for left, _, _ in payments)
    with pytest.raises(TooManySums):
        spread(Decimal(everything // 2), _sources(payments))
    assert _chosen(payments, everything) == tuple(left for left, _, _ in payments)
    assert _chosen(payments, 10**6) == (10**6, *[0] * 39)
