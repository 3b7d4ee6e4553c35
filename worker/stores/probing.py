"""Ask Wix again about suspended stores, at growing intervals; the leading scheduler does it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import structlog

from config.settings import Settings
from worker.errors import CallFailed, Permanent, Unauthorized
from worker.ledger.stores import StoreRecord, Stores
from worker.observability.events import log_event
from worker.stores.keyring import Keyring
from worker.stores.permissions import BILLING
from worker.stores.vault import Credentials, SealedShut
from worker.wix.account import site_of
from worker.wix.client import ClientFactory

#: Stores that one turn looks at.
AT_ONCE = 50
#: Wix knows no such order; what counts is whether it refuses to look for it (inferred).
NO_ORDER = "00000000-0000-4000-8000-000000000000"


@dataclass(frozen=True, kw_only=True)
class Prober:
    """Reads only. A store that Wix answers again is resumed."""

    stores: Stores
    keyring: Keyring
    wix: ClientFactory
    settings: Settings

    def turn(self, is_stopping: Callable[[], bool]) -> None:
        """Ask about every suspended store whose time has come."""
        for store_id in self.stores.due_probes(limit=AT_ONCE):
            if is_stopping():
                return
            with structlog.contextvars.bound_contextvars(store_id=store_id):
                self._look_at(store_id)

    def _look_at(self, store_id: str) -> None:
        record = self.stores.find(store_id)
        refusal, is_refused = "no key is known for it", True
        try:
            credentials = self.keyring.find(store_id, record.sealed)
            if credentials:
                self._ask(credentials, record)
                refusal = ""
        except (Unauthorized, SealedShut) as error:
            refusal = str(error)
        except CallFailed as error:
            # Wix is not well: no word against the key, and none for it.
            refusal, is_refused = str(error), False
        if refusal:
            self.stores.probed(
                store_id,
                first_ms=self.settings.probe_first_ms,
                cap_ms=self.settings.probe_cap_ms,
                refused=is_refused,
            )
            log_event("store.probed", error=refusal)
        elif self.stores.resume(store_id, by="probe", epoch=int(record.suspension.get("epoch", 0))):
            log_event("store.resumed", by="probe")

    def _ask(self, credentials: Credentials, record: StoreRecord) -> None:
        """Ask for something that needs the same box as what was refused, but changes nothing."""
        site = site_of(self.wix, credentials.store_id, credentials.api_key)
        if record.suspension.get("endpoint") not in BILLING:
            site.search_orders()
            return
        try:
            site.get_order_refundability(NO_ORDER)
        except Permanent:
            return  # "No such order" is an answer to this key.
