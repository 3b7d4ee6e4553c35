"""`refunds audit`: is every refund in exactly one place, and does Wix agree?"""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from decimal import Decimal

from statemachine.flows import State
from worker.errors import CallFailed
from worker.flows.own_refunds import all_ours
from worker.ledger.audit_log import Operator
from worker.ledger.refunds import Ledger
from worker.ledger.stores import Stores
from worker.refund.record import Refund
from worker.stores.keyring import Keyring
from worker.stores.vault import NoKey
from worker.wix.billing import is_voided
from worker.wix.client import ClientFactory, WixStore

#: Refunds per script call; a call takes some milliseconds of the server's time.
BATCH = 500
#: States that Wix's records can confirm.
COMPARED = (State.CANCELLED, State.REFUNDED, State.VOIDED)


@dataclass(frozen=True)
class Problem:
    """One refund, and what is wrong with it."""

    refund_id: str
    problem: str


def audit(
    ledger: Ledger, *, repair: Operator | None, progress: Callable[[int], None]
) -> Iterator[Problem]:
    """Check every refund; if somebody asks to *repair* it, put it back where it belongs.

    Calls *progress* with the size of each batch. One script checks a whole batch, so that it
    never sees a refund between two places.
    """
    ids = ledger.all_ids()
    while batch := list(itertools.islice(ids, BATCH)):
        found = ledger.misplaced(batch, repair=False)
        if repair and found:
            act = repair.act("audit.repair", "", before=dict(found))
            found = ledger.misplaced([refund_id for refund_id, _ in found], repair=True, act=act)
        if repair:
            ledger.relist(batch, thorough=True)
        yield from (Problem(*each) for each in found)
        progress(len(batch))


def against_wix(
    refunds: Iterator[Refund],
    *,
    keyring: Keyring,
    stores: Stores,
    wix: ClientFactory,
    per_s: float,
    progress: Callable[[int], None],
) -> Iterator[Problem]:
    """Compare finished refunds with Wix's own records, *per_s* refunds per second; only reads."""
    pause = threading.Event()
    for refund in refunds:
        store_id = refund.request.store_id
        try:
            store = keyring.credentials(store_id, stores.find(store_id).sealed)
        except NoKey as error:
            problem = f"cannot be compared: {error}"
        else:
            problem = _disagreement(refund, wix.reader(store.store_id, store.api_key))
            pause.wait(1 / per_s)
        if problem:
            yield Problem(refund.refund_id, problem)
        progress(1)


def _disagreement(refund: Refund, wix: WixStore) -> str:
    """Say how Wix's records differ from ours; empty if they agree."""
    try:
        return _compare(refund, wix)
    except CallFailed as error:
        return f"cannot be compared: {error}"


def _compare(refund: Refund, wix: WixStore) -> str:
    order_id = refund.request.order_id
    if refund.state is State.CANCELLED:
        order = wix.get_order(order_id)
        if not order.is_cancelled:
            return f"Wix shows the order as {order.status}"
        if not refund.facts.has_refunded:
            return ""
    listed = wix.list_transactions(order_id)
    if refund.state is State.VOIDED:
        statuses = ", ".join(payment.effective_status for payment in listed.payments)
        return "" if is_voided(listed.payments) else f"Wix shows the payments as {statuses}"
    ours = all_ours(refund, listed)
    if len(ours) != 1:
        return f"Wix shows {len(ours)} refunds with our fingerprint, not one"
    if set(ours[0].statuses) != {"SUCCEEDED"}:
        return f"Wix shows the refund as {', '.join(ours[0].statuses)}"
    known = refund.facts.refund_amount
    is_same = bool(known) and Decimal(known) == ours[0].total
    return "" if is_same else f"Wix shows a total of {ours[0].total:f}, not {known or None}"
