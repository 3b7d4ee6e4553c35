"""Tell upstream what merchants do themselves, for the stores that have it switched on.

Nothing is changed at Wix. What is reported is found by a search for changed orders, an index that
may lag: so each look begins some time before the last change that was seen. Each act is reported
once.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Literal

from worker.errors import CallFailed
from worker.flows.observing import Act, Watched, acts_of
from worker.ledger.observed import GIVE_UP_MS, PER_PAGE, Look, News, ObservedStores
from worker.ledger.records import Records
from worker.observability.context import bound
from worker.observability.events import log_event
from worker.refund.observed import observed
from worker.refund.record import Refund
from worker.steps.transactions import read_several
from worker.stores.keyring import Keyring
from worker.stores.vault import NoKey
from worker.wix.billing import Transactions
from worker.wix.changes import ChangedOrder, ms_of
from worker.wix.client import ClientFactory, WixStore

#: The kind of outcome for each kind of act.
KINDS: Mapping[str, Literal["observed", "cancelled_by_merchant"]] = MappingProxyType(
    {"refund": "observed", "cancel": "cancelled_by_merchant"}
)
#: The log event for each kind of act.
EVENTS = {"refund": "order.refund_observed", "cancel": "order.cancel_observed"}


class Observer:
    """Looks at changed orders, in a thread of its own. It only reads from Wix."""

    def __init__(
        self, *, stores: ObservedStores, records: Records, keyring: Keyring, wix: ClientFactory
    ) -> None:
        self._stores = stores
        self._records = records
        self._keyring = keyring
        self._wix = wix

    def turn(self, is_stopping: Callable[[], bool]) -> None:
        """Make all looks that are due."""
        while not is_stopping() and (look := self._stores.take()):
            with bound(store_id=look.store_id):
                self._look(look)

    def _look(self, look: Look) -> None:
        try:
            store = self._keyring.credentials(look.store_id, look.sealed)
        except NoKey as error:
            log_event("store.observe_failed", error=str(error))
            self._stores.failed(look, calls=0, throttled_ms=None)
            return
        wix = self._wix.reader(store.store_id, store.api_key)
        try:
            self._read(look, wix)
        except CallFailed as error:
            log_event("store.observe_failed", error=str(error))
            throttled = wix.throttled
            pause_ms = None if throttled is None else throttled.retry_after_ms or 0
            self._stores.failed(look, calls=wix.calls, throttled_ms=pause_ms)

    def _read(self, look: Look, wix: WixStore) -> None:
        changed = wix.find_changed(look.from_ms, PER_PAGE)
        others = sorted(look.unclear.keys() - {order.id for order in changed})
        orders = [*changed, *(wix.find_again(others) if others else ())]
        found, _ = read_several(wix, [order.id for order in orders]) if orders else ({}, "")
        news, unclear = [], []
        for order in orders:
            transactions = found.get(order.id)
            acts, is_clear = self._acts(look, order, transactions) if transactions else ([], False)
            news += [_news(look, order, act) for act in acts]
            if not is_clear:
                unclear.append(order.id)
        is_full = len(changed) >= PER_PAGE
        told = self._stores.record(
            look,
            news,
            unclear=unclear,
            clear=[order.id for order in orders if order.id not in unclear],
            newest_ms=max(changed[-1].updated_ms, look.from_ms + is_full) if changed else 0,
            is_full=is_full,
            calls=wix.calls,
        )
        for one in news:
            if one.key in told:
                kind, _, wix_id = one.key.partition(":")
                log_event(EVENTS[kind], order_id=one.subject, wix_id=wix_id)

    def _acts(
        self, look: Look, order: ChangedOrder, transactions: Transactions
    ) -> tuple[list[Act], bool]:
        first_ms = look.unclear.get(order.id)
        is_last = first_ms is not None and look.now_ms - first_ms >= GIVE_UP_MS
        watched = Watched(
            order,
            transactions,
            self._ours(look, order),
            is_seen=first_ms is not None,
            is_last_look=is_last,
        )
        acts, why = acts_of(watched, look.since_ms)
        if why and is_last:
            log_event("order.not_clear", order_id=order.id, why=why)
        return acts, is_last or not why

    def _ours(self, look: Look, order: ChangedOrder) -> Callable[[], list[Refund]]:
        """Return what reads our refunds of an order, once."""
        read: list[list[Refund]] = []

        def ours() -> list[Refund]:
            if not read:
                ids = self._records.of_order(look.store_id, order.id)
                read.append(self._records.load_all(ids))
            return read[0]

        return ours


def _news(look: Look, order: ChangedOrder, act: Act) -> News:
    """Return an act as the ledger tells it; its ids are part of a text that is JSON."""
    act_kind, _, wix_id = act.key.partition(":")
    kind = KINDS[act_kind]
    event = act.status and observed(
        kind,
        act.facts,
        act.status,
        happened_at=act.happened_at,
        store_id=look.store_id,
        order_id=order.id,
        order_number=order.number or "",
    )
    return News(
        key=act.key,
        at_ms=ms_of(act.happened_at or order.updated_date),
        subject=_in_json(order.id),
        event_id=_in_json(f"{order.id}/{wix_id}/{kind}"),
        outcome=event or None,
    )


def _in_json(text: str) -> str:
    return json.dumps(text)[1:-1]
