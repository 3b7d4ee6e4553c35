"""Requeue lost refunds: in flight, but without a message and without a living worker."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterable, Iterator

from worker.ledger.refunds import Ledger
from worker.observability.context import bound
from worker.observability.events import log_event

#: How many refunds one turn looks at, and how often all of them are looked at.
AT_ONCE, EVERY_S = 200, 60.0
#: What the audit says of a refund whose store is forgotten (worker/ledger/lua/audit.lua).
NO_TURN = "waits, but its store gets no turn"


class LaneHealer:
    """Looks at unfinished refunds, some with each turn: does the store of each get turns?"""

    def __init__(self, ledger: Ledger, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._ledger = ledger
        self._monotonic = monotonic
        self._ids: Iterator[str] = iter(())
        self._begun_s = float("-inf")

    def turn(self) -> None:
        """Look at the next refunds; begin again a minute after the last beginning."""
        ids = list(itertools.islice(self._ids, AT_ONCE))
        now_s = self._monotonic()
        if not ids and now_s - self._begun_s >= EVERY_S:
            self._begun_s, self._ids = now_s, self._ledger.unfinished_ids()
            ids = list(itertools.islice(self._ids, AT_ONCE))
        if ids:
            self._heal(ids)

    def _heal(self, ids: list[str]) -> None:
        problems = self._ledger.misplaced(ids, repair=False)
        waiting = [refund_id for refund_id, problem in problems if problem == NO_TURN]
        stores = sorted({one.request.store_id for one in self._ledger.load_all(waiting)})
        if stores:
            # Nothing else would find a store that is in no list.
            self._ledger.list_as_busy(stores)
        for store_id in stores:
            log_event("store.roused", store_id=store_id)


def requeue_lost(ledger: Ledger) -> int:
    """Check each refund that holds a slot of its store; return how many were lost."""
    return log_requeued(ledger.requeue_lost())


def log_requeued(refund_ids: Iterable[str]) -> int:
    """Log that these refunds were requeued; return how many there are."""
    requeued = 0
    for refund_id in refund_ids:
        requeued += 1
        with bound(refund_id=refund_id):
            log_event("refund.roused")
    return requeued
