"""Choose the payments of a refund: an exact search, because some can only be refunded in full.

An order has few such payments, so all their sums are tried.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from decimal import Decimal
from itertools import product

from worker.flows.amounts import Share, Source

#: How many sums of payments are tried; no real order comes near it.
MOST_SUMS = 50_000

_ZERO = Decimal(0)


class TooManySums(ValueError):
    """The payments that can only be refunded in full have too many different sums."""


def everything(sources: Iterable[Source]) -> list[Share]:
    """Refund everything that is left of every payment."""
    return [source.take(source.max_refund) for source in sources]


def spread(total: Decimal, sources: Sequence[Source]) -> list[Share] | None:
    """Divide *total* exactly among the payments; None if that is impossible.

    Of all divisions this is the one with the least amount on payments that Wix only records; of
    these, the one with the least amount on payments that can only be refunded in full; of these,
    the one that takes the most from the first payment, then from the second, and so on.

    Raises:
        TooManySums: the search would take too long.
    """
    own = [source for source in sources if source.max_refund and not source.external]
    recorded = [source for source in sources if source.max_refund and source.external]
    room, others = _room(own), _room(recorded)
    own_sums = _whole_sums(own, total - room - _left(recorded), total)
    recorded_sums = _whole_sums(recorded, total - _left(own) - others, total)
    if len(own_sums) * len(recorded_sums) > MOST_SUMS:
        raise TooManySums
    ranked = [
        ((max(y, total - x - room), x + y), x, y)
        for x, y in product(own_sums, recorded_sums)
        if x + y <= total <= x + y + room + others
    ]
    least = min((key for key, _, _ in ranked), default=None)
    divisions = [
        _fill(total - x - y, [*own, *recorded])
        | {source.payment_id: _all_of(source) for source in (*own_sums[x], *recorded_sums[y])}
        for key, x, y in ranked
        if key == least
    ]
    if not divisions:
        return None
    amounts = max(divisions, key=lambda d: [d.get(s.payment_id, _ZERO) for s in sources])
    return [s.take(amounts[s.payment_id]) for s in sources if s.payment_id in amounts]


def most_of(total: Decimal, sources: Sequence[Source]) -> Decimal:
    """Return the largest amount, at most *total*, that `spread` can divide.

    Raises:
        TooManySums: the search would take too long.
    """
    left = _left(sources)
    if left <= total:
        return left
    room, sums = _room(sources), _whole_sums(sources, -left, total)
    return max(min(total, whole + room) for whole in sums)


def _all_of(source: Source) -> Decimal:
    return source.max_refund or _ZERO


def _left(sources: Iterable[Source]) -> Decimal:
    return sum((_all_of(source) for source in sources), _ZERO)


def _room(sources: Iterable[Source]) -> Decimal:
    """Return what is left of the payments of which any part can be refunded."""
    return _left(source for source in sources if not source.only_in_full)


def _whole_sums(
    sources: Sequence[Source], low: Decimal, high: Decimal
) -> dict[Decimal, tuple[Source, ...]]:
    """Map each sum from *low* to *high* of payments that go back in full to these payments.

    If several have the same sum, those that include the first payment are chosen, and so on.
    """
    whole = [source for source in sources if source.only_in_full and source.max_refund]
    sums: dict[Decimal, tuple[Source, ...]] = {_ZERO: ()}
    still = _left(whole)
    for source in reversed(whole):
        still -= _all_of(source)
        sums |= {at + _all_of(source): (source, *chosen) for at, chosen in sums.items()}
        sums = {at: chosen for at, chosen in sums.items() if low - still <= at <= high}
        if len(sums) > MOST_SUMS:
            raise TooManySums
    return sums


def _fill(total: Decimal, sources: Iterable[Source]) -> dict[str, Decimal]:
    """Take *total* from the payments of which any part can be refunded, from the first on."""
    taken, left = {}, total
    for source in sources:
        part = _ZERO if source.only_in_full else min(left, _all_of(source))
        if part > 0:
            taken[source.payment_id] = part
            left -= part
    return taken
