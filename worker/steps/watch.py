"""Look at finished refunds again, twice: the payment provider may take one back.

The refund stays finished; a reversal is an event, not a new state. That a provider can reverse a
refund is inferred. All looks of a store that are due share one call (W54).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Literal

from config.settings import Settings
from worker.errors import Buried, CallFailed
from worker.flows.own_refunds import facts_of, find_ours, overpayment, overpayment_text
from worker.ledger.claims import Change
from worker.ledger.looks import Looks, WatchedRefunds
from worker.observability.context import bound
from worker.observability.events import log_event
from worker.refund.facts import Facts, Overpayment, RefundedPayment
from worker.refund.money import money
from worker.refund.outcomes import about, outcome, overpaid, payments_of
from worker.refund.public_status import status_after
from worker.refund.reasons import reason_of
from worker.refund.record import Refund
from worker.steps.results import WATCHED
from worker.steps.transactions import read_several
from worker.stores.keyring import Keyring
from worker.stores.vault import NoKey
from worker.wix.billing import Transactions
from worker.wix.client import ClientFactory, WixStore

#: The log event for each outcome.
EVENTS = {"settled_again": "refund.settled_again", "reversed": "refund.reversed"}


class Watch:
    """Looks at finished refunds, in a thread of its own. It only reads from Wix."""

    def __init__(
        self,
        *,
        watched: WatchedRefunds,
        keyring: Keyring,
        wix: ClientFactory,
        settings: Settings,
    ) -> None:
        self._watched = watched
        self._keyring = keyring
        self._wix = wix
        self._for_ms = settings.watch_for_s * 1000

    def turn(self, is_stopping: Callable[[], bool]) -> None:
        """Make all looks that are due; those of one store share a call."""
        while not is_stopping() and (looks := self._watched.take()):
            with bound(store_id=looks.store_id):
                self._look(looks)

    def _look(self, looks: Looks) -> None:
        """Look at refunds of one store, and report what has changed."""
        finished = [refund for refund in looks.refunds if refund.state in WATCHED]
        order_ids = list(dict.fromkeys(refund.request.order_id for refund in finished))
        found, wix = self._read(looks, order_ids) if order_ids else ({}, None)
        failed, unchanged = [], [one for one in looks.refunds if one.state not in WATCHED]
        for refund in finished:
            transactions = found.get(refund.request.order_id)
            if transactions is None:
                failed.append(refund)
            elif change := _change(refund, transactions):
                self._watched.changed(refund, change, for_ms=self._for_ms)
                fields = dict(change.line)
                log_event(fields.pop("event"), refund_id=refund.refund_id, **fields)
            else:
                unchanged.append(refund)
        ids = [refund.refund_id for refund in unchanged]
        more = max(0, wix.calls - 1) if wix else 0
        self._watched.unchanged(looks.store_id, ids, for_ms=self._for_ms, calls=more)
        if wix and wix.throttled:
            pause_ms = wix.throttled.retry_after_ms or 0
            self._watched.throttled(looks.store_id, pause_ms=pause_ms)
            log_event("store.throttled", pause_ms=pause_ms)
        if failed:
            ids = [refund.refund_id for refund in failed]
            self._watched.failed(looks.store_id, ids, for_ms=self._for_ms)

    def _read(
        self, looks: Looks, order_ids: list[str]
    ) -> tuple[dict[str, Transactions], WixStore | None]:
        """Return the transactions that Wix lists, by order, and the client that asked."""
        try:
            store = self._keyring.credentials(looks.store_id, looks.sealed)
        except NoKey as error:
            log_event("refund.recheck_failed", error=str(error), orders=len(order_ids))
            return {}, None
        wix = self._wix.reader(store.store_id, store.api_key)
        try:
            found, problem = read_several(wix, order_ids)
        except CallFailed as error:
            log_event("refund.recheck_failed", error=str(error), orders=len(order_ids))
            return {}, wix
        if lacking := len(order_ids) - len(found):
            log_event("refund.recheck_failed", error=problem, orders=lacking)
        return found, wix


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
    amount = money(facts.refund_amount, facts.currency)
    line = {
        "event": EVENTS[kind],
        "from": _statuses(refund.facts.payments),
        "to": _statuses(payments),
    }
    about_it = about(refund.request)
    told = {"amount": amount, "payments": payments_of(facts)}
    status = status_after(refund.state, facts)
    event = outcome(kind, "recheck_refund", **about_it, status=status, **told)
    return Change(line=line, facts=facts, outcome=event)
