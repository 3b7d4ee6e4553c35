"""After the end: a provider may take a refund back. Look again for a while, and tell upstream.

The refund stays finished; that its money did not arrive after all is news, not a new state.
Whether a status may go back is inferred.
"""

from __future__ import annotations

from typing import Any

from config.settings import Settings
from statemachine.flows import State
from worker.errors import CallFailed
from worker.flows.standard import facts_of, find_ours
from worker.ledger.refunds import Ledger
from worker.ledger.stores import Stores
from worker.observability.events import log_event
from worker.queue.delivery import Delivery
from worker.refund.outcomes import about, outcome
from worker.refund.record import Refund
from worker.stores.keyring import Keyring
from worker.stores.vault import NoKey
from worker.wix.client import ClientFactory


class Watch:
    """Looks at finished refunds; only reads at Wix."""

    def __init__(
        self,
        *,
        ledger: Ledger,
        keyring: Keyring,
        stores: Stores,
        wix: ClientFactory,
        settings: Settings,
    ) -> None:
        self._ledger = ledger
        self._keyring = keyring
        self._stores = stores
        self._wix = wix
        self._settings = settings

    def recheck_refund(self, refund_id: str, delivery: Delivery) -> None:
        """Look once; whatever comes of it, the next look is planned or the watch is over."""
        refund = self._ledger.load(refund_id)
        found = self._payments(refund) if refund and refund.state is State.REFUNDED else None
        news: dict[str, Any] = {}
        if refund and found and _statuses(found) != _statuses(refund.facts.get("payments", [])):
            news = _news(refund, found)
            log_event(news["change"]["event"], **{k: news["change"][k] for k in ("from", "to")})
        self._ledger.watched(
            refund_id,
            delivery,
            first_ms=self._settings.watch_first_ms,
            for_ms=self._settings.watch_for_s * 1000 if refund else 0,
            version=refund.version if refund else 0,
            **news,
        )

    def _payments(self, refund: Refund) -> list[dict[str, Any]] | None:
        store_id = refund.request.store_id
        try:
            store = self._keyring.credentials(store_id, self._stores.find(store_id).sealed)
        except NoKey as error:
            log_event("refund.recheck_failed", error=str(error))
            return None
        wix = self._wix.store(store.store_id, store.api_key, before_mutation=_forbid)
        try:
            ours = find_ours(refund, wix.list_transactions(refund.request.order_id))
        except CallFailed as error:
            log_event("refund.recheck_failed", error=str(error))
            return None
        return facts_of(ours)["payments"] if ours else None


def _forbid() -> None:
    raise AssertionError("a watch changes nothing at Wix")


def _statuses(payments: list[dict[str, Any]]) -> list[str]:
    """As a set would be compared: Wix may list them in another order."""
    return sorted(f"{payment['payment_id']} {payment['status']}" for payment in payments)


def _news(refund: Refund, payments: list[dict[str, Any]]) -> dict[str, Any]:
    """What is written and told when a status is not what it was."""
    is_settled = {payment["status"] for payment in payments} == {"SUCCEEDED"}
    kind: Any = "settled_again" if is_settled else "reversed"
    change = {
        "event": f"refund.{kind}",
        "from": _statuses(refund.facts.get("payments", [])),
        "to": _statuses(payments),
    }
    amount = {
        "amount": refund.facts.get("refund_amount"),
        "currency": refund.facts.get("currency"),
    }
    told = outcome(
        kind, "recheck_refund", **about(refund.request), amount=amount, payments=payments
    )
    return {
        "change": change,
        "facts": {**refund.facts, "payments": payments},
        "outcome": told,
    }
