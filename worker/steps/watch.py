"""After the end, a payment provider may take a refund back: look again for a while, and report it.

The refund stays finished: that its money did not arrive after all is an event, not a new state.
Whether a status can change back is inferred.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Literal

from config.settings import Settings
from statemachine.flows import State
from worker.errors import CallFailed
from worker.flows.standard import facts_of, find_ours
from worker.ledger.refunds import Ledger
from worker.ledger.stores import Stores
from worker.observability.events import log_event
from worker.queue.delivery import Delivery
from worker.refund.facts import Facts, RefundedPayment
from worker.refund.outcomes import about, outcome
from worker.refund.record import Refund
from worker.stores.keyring import Keyring
from worker.stores.vault import NoKey
from worker.wix.client import ClientFactory

#: The log event of each outcome.
EVENTS = {"settled_again": "refund.settled_again", "reversed": "refund.reversed"}


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
        found = self._payments(refund) if refund and refund.state is State.REFUNDED else ()
        news: dict[str, Any] = {}
        if refund and found and _statuses(found) != _statuses(refund.facts.payments):
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

    def _payments(self, refund: Refund) -> tuple[RefundedPayment, ...]:
        store_id = refund.request.store_id
        try:
            store = self._keyring.credentials(store_id, self._stores.find(store_id).sealed)
            wix = self._wix.reader(store.store_id, store.api_key)
            ours = find_ours(refund, wix.list_transactions(refund.request.order_id))
        except (NoKey, CallFailed) as error:
            log_event("refund.recheck_failed", error=str(error))
            return ()
        return facts_of(ours).payments if ours else ()


def _statuses(payments: Iterable[RefundedPayment]) -> list[str]:
    """Sorted, because Wix may list them in another order."""
    return sorted(f"{payment.payment_id} {payment.status}" for payment in payments)


def _news(refund: Refund, payments: tuple[RefundedPayment, ...]) -> dict[str, Any]:
    """What is written and reported when a status has changed."""
    is_settled = {payment.status for payment in payments} == {"SUCCEEDED"}
    kind: Literal["settled_again", "reversed"] = "settled_again" if is_settled else "reversed"
    facts = refund.facts | Facts(payments=payments)
    amount = {"amount": facts.refund_amount or None, "currency": facts.currency or None}
    change = {
        "event": EVENTS[kind],
        "from": _statuses(refund.facts.payments),
        "to": _statuses(payments),
    }
    about_it = about(refund.request)
    listed = facts.known()["payments"]
    event = outcome(kind, "recheck_refund", **about_it, amount=amount, payments=listed)
    return {"change": change, "facts": facts, "outcome": event}
