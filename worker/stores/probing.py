"""Probes: ask Wix again about suspended stores, at growing intervals, and resume them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from config.settings import Settings
from worker.errors import CallFailed, Unauthorized
from worker.ledger.stores import Stores
from worker.observability.context import bound
from worker.observability.events import log_event
from worker.stores.keyring import Keyring
from worker.stores.vault import Credentials, NoKey
from worker.stores.waiting import Unconnected
from worker.wix.account import site_of
from worker.wix.client import ClientFactory

#: Maximum number of stores per turn.
BATCH = 50


@dataclass(frozen=True, kw_only=True)
class Prober:
    """Asks Wix about suspended stores; the scheduler that leads runs it. It changes nothing at Wix.

    A store whose key Wix accepts again is resumed.
    """

    stores: Stores
    keyring: Keyring
    wix: ClientFactory
    settings: Settings
    unconnected: Unconnected

    def ask_soon(self) -> None:
        """Let the stores of REFUNDS_STORES be due: who begins to lead may know new keys."""
        self.stores.probe_soon(self.keyring.given)

    def turn(self, is_stopping: Callable[[], bool]) -> None:
        """Ask about every suspended store that is due."""
        for store_id in self.stores.due_probes(limit=BATCH):
            if is_stopping():
                return
            with bound(store_id=store_id):
                self._probe(store_id)

    def _probe(self, store_id: str) -> None:
        record = self.stores.find(store_id)
        if record.state == "unknown":
            self.unconnected.look(record)
            return
        try:
            self._ask(self.keyring.credentials(store_id, record.sealed))
        except (Unauthorized, NoKey) as refusal:
            self._ask_again_later(store_id, str(refusal), refused=True)
        except CallFailed as error:
            # Wix has a problem of its own, which says nothing about the key.
            self._ask_again_later(store_id, str(error), refused=False)
        else:
            if self.stores.resume(store_id, by="probe", epoch=record.suspended_epoch):
                log_event("store.resumed", by="probe")

    def _ask_again_later(self, store_id: str, why: str, *, refused: bool) -> None:
        self.stores.probed(
            store_id,
            first_ms=self.settings.probe_first_ms,
            cap_ms=self.settings.probe_cap_ms,
            refused=refused,
        )
        log_event("store.probed", error=why)

    def _ask(self, credentials: Credentials) -> None:
        """Read orders: whoever may do that can at least cancel.

        A right that is missing besides ends the refunds that need it, not the store's.
        """
        site_of(self.wix, credentials.store_id, credentials.api_key).search_orders()
