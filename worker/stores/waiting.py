"""Refunds of a store that is not connected yet: they wait in its lane, for a bounded time."""

from __future__ import annotations

from dataclasses import dataclass

from config.settings import Settings
from worker.errors import Buried
from worker.ledger.records import Records
from worker.ledger.stores import StoreRecord, Stores
from worker.observability.context import bound
from worker.observability.events import log_event
from worker.refund.reasons import reason_of
from worker.stores.keyring import Keyring, UnknownStore

#: Minimum time between two looks at a store.
SOON_MS = 1_000
#: Maximum number of refunds of a store to look at in one round trip.
BATCH = 500


@dataclass(frozen=True, kw_only=True)
class Unconnected:
    """Looks at stores that are not connected, when their probes are due; Wix is not asked."""

    stores: Stores
    records: Records
    keyring: Keyring
    settings: Settings

    def look(self, store: StoreRecord) -> None:
        """Resume the store if there is a key now; else bury the refunds that waited too long."""
        try:
            self.keyring.credentials(store.store_id, store.sealed)
        except UnknownStore as unknown:
            self._wait(store, str(unknown))
            return
        if self.stores.resume(store.store_id, by="probe", epoch=store.suspended_epoch):
            log_event("store.resumed", by="probe")

    def _wait(self, store: StoreRecord, why: str) -> None:
        for_ms = self.settings.store_unknown_for_s * 1_000
        buried = True
        while buried:
            next_in_ms, ids = self.stores.overdue(
                store.store_id, for_ms=for_ms, limit=BATCH, epoch=store.suspended_epoch
            )
            buried = sum(self._bury(refund_id, store) for refund_id in ids) > 0
        if next_in_ms < 0:
            return
        self.stores.probed(
            store.store_id,
            first_ms=self.settings.probe_first_ms,
            cap_ms=max(SOON_MS, min(self.settings.probe_cap_ms, next_in_ms)),
            refused=True,
        )
        log_event("store.probed", error=why)

    def _bury(self, refund_id: str, store: StoreRecord) -> bool:
        refund = self.records.load(refund_id)
        if refund is None:
            return False
        reason = reason_of(Buried("store_unknown"))
        shown = {name: reason[name] for name in ("reason", "sentence")}
        line = {"event": "step.dead", "from_state": refund.state.value, **shown}
        is_buried = self.stores.bury(
            refund, reason=reason, line=line, step="wait_for_store", epoch=store.suspended_epoch
        )
        if is_buried:
            with bound(refund_id=refund_id, order_id=refund.request.order_id):
                log_event("step.dead", from_state=refund.state.value, **shown)
        return is_buried
