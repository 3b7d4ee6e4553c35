"""Stores whose merchants are observed: looks at changed orders, handed out store by store.

The scripts are `lua/observe.lua` and `lua/observed.lua`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

#: Orders of one page, and unclear ones of one look. W22.
PER_PAGE = 100
#: The pause between two looks, for each page of the one before; and the longest one.
EVERY_MS = 60_000
LONGEST_MS = 3_600_000
#: How far back each look begins before the last change that was seen: the index may lag (W27).
OVERLAP_MS = 900_000
#: How far ahead of our server's clock Wix's may be.
AHEAD_MS = 300_000
#: If no order has changed for so long, the next look begins so far back, by our server's clock.
QUIET_MS = 86_400_000
#: How long it is remembered what was told. What happened earlier is not told any more.
KEEP_MS = 30 * 86_400_000
#: How long an order that is not clear is looked at again.
GIVE_UP_MS = 3 * 86_400_000
#: When a look that failed, or that was never reported, is made again.
AGAIN_MS = 600_000
#: How soon to try again while real work of the store comes first, and for how long it may.
PUT_OFF_MS = 10_000
PATIENCE_MS = 300_000
#: Calls of a look that are charged in advance: the search, and the transactions of what it finds.
CALLS = 2


class News(NamedTuple):
    """Something that was done to an order."""

    key: str
    """What it is remembered by: the same for each look that finds it."""
    at_ms: int
    """When it happened, as far as Wix says."""
    subject: str
    event_id: str
    outcome: Mapping[str, str] | None
    """None if it is ours, and only remembered."""


class Look(NamedTuple):
    """A look at the orders of one store that have changed."""

    store_id: str
    sealed: str
    """The store's sealed key, "" when the vault has none."""
    turn: int
    now_ms: int
    """The ledger's time when it was handed out."""
    from_ms: int
    """From when on changes are read."""
    since_ms: int
    """Since when something must have happened to be told."""
    unclear: Mapping[str, int]
    """Orders that were not clear before: since when, unix ms."""


class ObservedStores:
    """Hands out looks and records what they found."""

    def __init__(self, run: Callable[..., Any]) -> None:
        self._run = run
        """Runs a script of the ledger by its name."""

    def take(self) -> Look | None:
        """Return the look that is due at one store, and charge its calls; None if none is due."""
        flat = self._run(
            "observe",
            limit=PER_PAGE,
            again_ms=AGAIN_MS,
            put_off_ms=PUT_OFF_MS,
            patience_ms=PATIENCE_MS,
            overlap_ms=OVERLAP_MS,
            keep_ms=KEEP_MS,
            calls=CALLS,
        )
        if not flat:
            return None
        store_id, sealed, turn, now_ms, from_ms, since_ms, *unclear = flat
        since = {order: int(float(ms)) for order, ms in zip(*2 * [iter(unclear)], strict=True)}
        return Look(store_id, sealed, int(turn), int(now_ms), int(from_ms), int(since_ms), since)

    def record(
        self,
        look: Look,
        news: Iterable[News],
        *,
        unclear: Iterable[str],
        clear: Iterable[str],
        newest_ms: int,
        is_full: bool,
        calls: int,
    ) -> set[str]:
        """Tell what is news; returns the keys of what was told now.

        *newest_ms* is the last change on the page, 0 if it is empty; *is_full* says that there is
        another page, which begins there; *calls* were made.
        """
        told = self._record(
            look,
            news=[_given(one) for one in news],
            unclear=list(unclear),
            clear=list(clear),
            newest_ms=newest_ms,
            is_full=is_full,
            calls=calls - CALLS,
        )
        return set(told)

    def failed(self, look: Look, *, calls: int, throttled_ms: int | None) -> None:
        """Record that a look failed; *throttled_ms* is for how long Wix throttles, 0 if unknown."""
        throttled = {"throttled": throttled_ms is not None, "pause_ms": throttled_ms or 0}
        self._record(look, failed=True, wait_ms=AGAIN_MS, calls=calls - CALLS, **throttled)

    def _record(self, look: Look, **found: Any) -> list[str]:
        given = dict(_NOTHING) | found | {"store_id": look.store_id, "turn": look.turn}
        return list(self._run("observed", **given))


def _given(one: News) -> dict[str, Any]:
    return {name: value for name, value in one._asdict().items() if value is not None}


#: What a look that finds nothing records.
_NOTHING: Mapping[str, Any] = MappingProxyType(
    {
        "news": [],
        "unclear": [],
        "clear": [],
        "newest_ms": 0,
        "is_full": False,
        "failed": False,
        "throttled": False,
        "pause_ms": 0,
        "wait_ms": EVERY_MS,
        "keep_ms": KEEP_MS,
        "ahead_ms": AHEAD_MS,
        "quiet_ms": QUIET_MS,
        "give_up_ms": GIVE_UP_MS,
        "longest_ms": LONGEST_MS,
    }
)
