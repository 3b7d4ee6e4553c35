"""The simulator: answers each call by its rule, and keeps the books of what was done."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from worker.simulator.contract.refusals import Json, Refusal
from worker.simulator.contract.routes import MUTATING
from worker.simulator.rules.table import RULES, WIDE_RULES, Call, WideCall
from worker.simulator.world.books import all_books
from worker.simulator.world.merchant import Merchant
from worker.simulator.world.orders import Order
from worker.simulator.world.provider import advance, iso
from worker.simulator.world.stores import Store


@dataclass
class Simulator(Merchant):
    """Wix in memory. All public methods are thread-safe."""

    calls: list[Json] = field(default_factory=list)
    unlisted: list[str] = field(default_factory=list)

    def answer(
        self,
        endpoint: str,
        order_id: str,
        body: Json,
        fulfillment_id: str = "",
        *,
        consistent: bool,
        site_id: str | None = None,
        payment_id: str = "",
    ) -> Json:
        """Answer a call about one order; with *site_id*, orders of other sites are not found.

        Raises:
            Refusal: any answer other than 200.
        """
        with self.lock:
            order = self.orders.get(order_id)
            if order is None or site_id not in {None, order.site_id}:
                if endpoint == "list_transactions" and self.flags.unknown_transactions == "empty":
                    return {}
                is_plain = endpoint != "get_order" and self.flags.order_not_found == "plain"
                raise Refusal(404, "" if is_plain else "ORDER_NOT_FOUND")
            if endpoint not in MUTATING and not consistent:
                order = self._as_read(order, self.flags.stale_ms)
            return self._rule(endpoint, order, body, fulfillment_id, payment_id)

    def answer_wide(
        self,
        endpoint: str,
        body: Json,
        query: Mapping[str, list[str]],
        store: Store | None,
        sites: list[Store],
    ) -> Json:
        """Answer a call about a site, an account, or several orders.

        Raises:
            Refusal: any answer other than 200.
        """
        with self.lock:
            now_ms = self.clock_ms()
            mine = {i: o for i, o in self.orders.items() if store and o.site_id == store.site_id}
            for order in mine.values():
                advance(order, self.flags, now_ms)
            call = WideCall(store, mine, sites, body, query, self.flags, now_ms, self._indexed)
            return WIDE_RULES[endpoint](call)

    def _indexed(self, order: Order) -> Order:
        return self._as_read(order, self.flags.search_lag_ms)

    def _as_read(self, order: Order, lag_ms: int) -> Order:
        """Return the order as a read sees it: without a change that is newer than the lag."""
        changed_ms, before = self._before.get(order.id, (0, order))
        return order if self.clock_ms() >= changed_ms + lag_ms else before

    def _rule(self, endpoint: str, order: Order, body: Mapping[str, Any], *ids: str) -> Json:
        now_ms = self.clock_ms()
        advance(order, self.flags, now_ms)
        before = self.copy_if_reads_lag(order) if endpoint in MUTATING else None
        named = dict(zip(("fulfillment_id", "payment_id"), ids, strict=False))
        answer = RULES[endpoint](Call(order, body, named, self.flags, now_ms))
        if endpoint in MUTATING:
            order.effects.append(endpoint)
            if endpoint != "submit_refund" or self.flags.refund_touches_order:
                order.updated_date = iso(now_ms)
        if before:
            self._before[order.id] = (now_ms, before)
        return answer

    def note_call(self, endpoint: str, order_id: str, status: int, site_id: str = "") -> None:
        """Record one call in the books; status 0 means that the connection was dropped."""
        call = {"endpoint": endpoint, "order_id": order_id, "status": status, "site_id": site_id}
        with self.lock:
            self.calls.append(call)

    def books(self) -> Json:
        """Return what was really done to each order, as JSON."""
        with self.lock:
            for order in self.orders.values():
                advance(order, self.flags, self.clock_ms())
            return all_books(self.orders.values(), self.calls, self.unlisted)
