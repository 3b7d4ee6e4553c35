"""Recheck finished refunds for a while: the payment provider may take one back.

The refund stays finished; a reversal is an event, not a new state. That a provider can reverse a
refund is inferred.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

from config.settings import Settings
from statemachine.flows import State
from worker.errors import Buried, CallFailed
from worker.flows.own_refunds import facts_of, find_ours, overpayment, overpayment_text
from worker.ledger.claims import Change
from worker.ledger.refunds import Ledger
from worker.ledger.stores import Stores
from worker.observability.events import log_event
from worker.queue.delivery import Delivery
from worker.refund.facts import Facts, Overpayment, RefundedPayment
from worker.refund.outcomes import about, outcome, overpaid
from worker.refund.reasons import reason_of
from worker.refund.record import Refund
from worker.stores.keyring import Keyring
from worker.stores.vault import NoKey
from worker.wix.billing import Transactions
from worker.wix.client import ClientFactory

#: The log event for each outcome.
EVENTS = {"settled_again": "refund.settled_again", "reversed": "refund.reversed"}


class Watch:
    """Rechecks finished refunds. It only reads from Wix."""

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
        """Check once, report a change, and plan the next check or end the watch."""
        refund = self._ledger.load(refund_id)
        transactions = self._list(refund) if refund and refund.state is State.REFUNDED else None
        change = _change(refund, transactions) if refund and transactions else None
        if change:
            name = str(change.line["event"])
            log_event(name, **{k: v for k, v in change.line.items() if k != "event"})
        self._ledger.watched(
            refund_id,
            delivery,
            first_ms=self._settings.watch_first_ms,
            for_ms=self._settings.watch_for_s * 1000 if refund else 0,
            version=refund.version if refund else 0,
            change=change,
        )

    def _list(self, refund: Refund) -> Transactions | None:
        store_id = refund.request.store_id
        try:
            store = self._keyring.credentials(store_id, self._stores.find(store_id).sealed)
            wix = self._wix.reader(store.store_id, store.api_key)
            return wix.list_transactions(refund.request.order_id)
        except (NoKey, CallFailed) as error:
            log_event("refund.recheck_failed", error=str(error))
            return None


def _change(refund: Refund, transactions: Transactions) -> Change | None:
    """Return what has changed since the refund finished, None when nothing has."""
    too_much = overpayment(refund, transactions)
    if too_much and not refund.facts.overpaid:
        return _overpaid(refund, too_much)
    ours = find_ours(refund, transactions)
    payments = facts_of(ours).payments if ours else ()
    if not payments or _statuses(payments) == _statuses(refund.facts.payments):
        return None
    return _news(refund, payments)


def _overpaid(refund: Refund, found: Overpayment) -> Change:
    """Our refund has appeared a second time: the finished refund becomes a dead letter."""
    facts = refund.facts | Facts(overpaid=found)
    line = {
        "event": "refund.overpaid",
        "wix_refund_ids": list(found.wix_refund_ids),
        "amount": found.amount,
        "currency": facts.currency,
    }
    end = Buried("paid_twice", detail=overpayment_text(refund, found))
    event = overpaid(refund.request, facts)
    return Change(line=line, facts=facts, outcome=event, reason=reason_of(end))


def _statuses(payments: Iterable[RefundedPayment]) -> list[str]:
    """Return the statuses in a fixed order: Wix may list the payments in another one."""
    return sorted(f"{payment.payment_id} {payment.status}" for payment in payments)


def _news(refund: Refund, payments: tuple[RefundedPayment, ...]) -> Change:
    """What is written and reported when a status has changed."""
    is_settled = {payment.status for payment in payments} == {"SUCCEEDED"}
    kind: Literal["settled_again", "reversed"] = "settled_again" if is_settled else "reversed"
    facts = refund.facts | Facts(payments=payments)
    amount = {"amount": facts.refund_amount or None, "currency": facts.currency or None}
    line = {
        "event": EVENTS[kind],
        "from": _statuses(refund.facts.payments),
        "to": _statuses(payments),
    }
    about_it = about(refund.request)
    listed = facts.known()["payments"]
    event = outcome(kind, "recheck_refund", **about_it, amount=amount, payments=listed)
    return Change(line=line, facts=facts, outcome=event)
