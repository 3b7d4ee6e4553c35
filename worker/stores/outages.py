"""Watches for outages of Wix, and probes with a few stores whether one is over."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass

from worker.errors import CallFailed
from worker.ledger.circuit import Circuit
from worker.ledger.stores import Stores
from worker.observability.events import log_event
from worker.stores.keyring import Keyring
from worker.stores.vault import NoKey
from worker.wix.account import site_of
from worker.wix.client import ClientFactory


@dataclass(frozen=True, kw_only=True)
class Outages:
    """Opens and closes the circuit; the scheduler that leads runs it. It only reads from Wix."""

    circuit: Circuit
    stores: Stores
    keyring: Keyring
    wix: ClientFactory

    def turn(self, is_stopping: Callable[[], bool]) -> None:
        """Look at the circuit, tell what has changed, and probe if it is time."""
        outage = self.circuit.look()
        if outage.event == "opened":
            log_event("wix.circuit_opened", failing=outage.failing, answering=outage.answering)
        elif outage.event == "closed":
            log_event("wix.circuit_closed", lasted_ms=outage.lasted_ms)
        if outage.to_probe and not is_stopping():
            answers = self._probe(outage.to_probe)
            self.circuit.probed(answered=answers.count(True), failed=answers.count(False))

    def _probe(self, store_ids: Iterable[str]) -> list[bool]:
        """Ask Wix for each store; whatever it says about the key, it answers."""
        found = []
        for store_id in store_ids:
            try:
                store = self.keyring.credentials(store_id, self.stores.find(store_id).sealed)
            except NoKey:
                continue
            wix = site_of(self.wix, store.store_id, store.api_key)
            with suppress(CallFailed):
                wix.search_orders()
            found.append(wix.outcome == "answered")
        return found
