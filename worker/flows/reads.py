"""What a step read at Wix moments ago: the next step of the same refund need not read it again.

Only within this process, for some seconds, and never after a call with an unknown effect. The look
at the order's refunds before a refund call is always a new one.
"""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Generic, Literal, NamedTuple, TypeVar

from statemachine.flows import Transition
from worker.refund.record import Refund
from worker.wix.billing import Transactions
from worker.wix.models import Fulfillment, Order

#: How old an answer of Wix may be when a step decides on it, s.
MAX_AGE_S = 5.0
#: The refunds whose answers are kept, at most.
MOST_KEPT = 1_000

#: The answers that each step can use instead of a call.
USED: Mapping[Transition, tuple[str, ...]] = MappingProxyType(
    {
        Transition.UNFULFILL_ORDER: ("order", "fulfillments"),
        Transition.CANCEL_ORDER: ("order",),
        Transition.CONFIRM_REFUND: ("transactions",),
    }
)

Answer = TypeVar("Answer")


class Seen(NamedTuple, Generic[Answer]):
    """An answer of Wix."""

    at_s: float
    """When it was asked for, by the clock of `Reads`."""
    answer: Answer


@dataclass(kw_only=True)
class Reads:
    """The last answers of Wix about one order."""

    now_s: Callable[[], float] = time.monotonic
    order: Seen[Order] | None = None
    fulfillments: Seen[tuple[Fulfillment, ...]] | None = None
    transactions: Seen[Transactions] | None = None
    accepted_endpoints: set[str] = field(default_factory=set)
    """The endpoints that accepted the store's key since a step last told the ledger."""
    outcome: Literal["", "answered", "failed"] = ""
    """Whether Wix answered the last call of which the ledger was not told."""
    epoch: int = 0
    """Counts the store's keys, and its suspensions: what holds for one says nothing of the next."""

    def fresh(self, seen: Seen[Answer] | None) -> Answer | None:
        """Return the answer, None if it is too old."""
        if seen is None or self.now_s() - seen.at_s > MAX_AGE_S:
            return None
        return seen.answer

    def in_epoch(self, epoch: int) -> Reads:
        """Return the same for a step with this key of the store."""
        if epoch == self.epoch:
            return self
        told = self.told()
        told.epoch = epoch
        return told

    def told(self) -> Reads:
        """Return the same once the ledger was told how the calls went."""
        return Reads(
            now_s=self.now_s,
            order=self.order,
            fulfillments=self.fulfillments,
            transactions=self.transactions,
            epoch=self.epoch,
        )

    def replaces(self, transition: Transition) -> int:
        """Return how many calls of the step that follows they can replace."""
        return sum(getattr(self, name) is not None for name in USED.get(transition, ()))


class RecentReads:
    """Keeps the answers between two steps of a refund. Thread-safe."""

    def __init__(self, now_s: Callable[[], float]) -> None:
        self._now_s = now_s
        self._lock = threading.Lock()
        self._kept: OrderedDict[str, tuple[int, Reads]] = OrderedDict()

    def keep(self, refund: Refund, reads: Reads, *, steps: int) -> None:
        """Keep the answers for the step that follows a commit, which stood for so many steps."""
        with self._lock:
            self._kept[refund.refund_id] = (refund.version + steps, reads)
            while len(self._kept) > MOST_KEPT:
                self._kept.popitem(last=False)

    def take(self, refund: Refund) -> Reads:
        """Return the answers for a step; none if any other step was committed in between."""
        with self._lock:
            version, reads = self._kept.pop(refund.refund_id, (0, Reads(now_s=self._now_s)))
        return reads if version == refund.version else Reads(now_s=self._now_s)

    def kept(self, refund_id: str) -> Reads | None:
        """Return what is kept for the next step of a refund."""
        with self._lock:
            _, reads = self._kept.get(refund_id, (0, None))
        return reads

    def clear(self) -> None:
        """Forget everything."""
        with self._lock:
            self._kept.clear()
