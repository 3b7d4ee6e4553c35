"""Orders of refunds that wait in the same lane: one search serves up to a hundred of them.

Only to choose the flow, by the order's date and currency, which do not change. A search is an index
and may lag (W22), so nothing is decided on it that a call to Wix could make wrong: an order that is
not plainly for the standard flow is read by itself, and a refund call has its own look.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass

from worker.errors import CallFailed
from worker.wix.client import WixStore
from worker.wix.models import Order

#: How old an order from a search may be, s.
MAX_AGE_S = 60.0
#: The refunds that must wait for a search to be worth while, and the orders of one search. W22.
LEAST_WAITING = 5
PER_SEARCH = 100
#: The stores whose orders are kept, at most.
MOST_STORES = 200


@dataclass(frozen=True)
class Found:
    """What a search found."""

    at_s: float
    """When it was asked for."""
    orders: Mapping[str, Order | None]
    """Every order that was asked for; None if the search does not show it."""


class Backlog:
    """Shares searches among the steps of this process. Thread-safe."""

    def __init__(
        self, now_s: Callable[[], float], waiting: Callable[[str, int], list[str]]
    ) -> None:
        self._now_s = now_s
        self._waiting = waiting
        """Returns the orders of a store's refunds that are to be assessed, the oldest first."""
        self._lock = threading.Lock()
        self._found: OrderedDict[str, Found] = OrderedDict()
        self._searching: set[str] = set()

    def find(self, wix: WixStore, store_id: str, order_id: str, *, waiting: int) -> Order | None:
        """Return an order, None if no search shows it; *waiting* refunds are in the lane."""
        with self._lock:
            found = self._found.get(store_id)
            if found and self._now_s() - found.at_s <= MAX_AGE_S and order_id in found.orders:
                return found.orders[order_id]
            if waiting < LEAST_WAITING or store_id in self._searching:
                return None
            self._searching.add(store_id)
        try:
            return self._search(wix, store_id, order_id).get(order_id)
        finally:
            with self._lock:
                self._searching.discard(store_id)

    def _search(self, wix: WixStore, store_id: str, order_id: str) -> Mapping[str, Order | None]:
        others = self._waiting(store_id, PER_SEARCH)
        asked = list(dict.fromkeys([order_id, *others]))[:PER_SEARCH]
        at_s, found = self._now_s(), {}
        # If it fails, the orders are read one by one; Wix then says what is wrong with the key.
        with suppress(CallFailed):
            found = wix.find_orders(asked)
        orders = {one: found.get(one) for one in asked}
        with self._lock:
            self._found[store_id] = Found(at_s, orders)
            self._found.move_to_end(store_id)
            if len(self._found) > MOST_STORES:
                self._found.popitem(last=False)
        return orders
