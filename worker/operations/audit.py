"""`refunds audit`: is every refund in exactly one place, and does Wix agree? Returns data only."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from decimal import Decimal

from statemachine.flows import State
from worker.errors import CallFailed
from worker.ledger.refunds import Ledger
from worker.ledger.stores import Stores
from worker.refund.record import Refund
from worker.stores.keyring import Keyring
from worker.stores.vault import SealedShut
from worker.wix.billing import is_voided
from worker.wix.client import ClientFactory, WixStore

#: Refunds that one script looks at: milliseconds of the server's time.
BATCH = 500
#: States of which Wix's books tell whether they are true.
COMPARED = (State.CANCELLED, State.REFUNDED, State.VOIDED)


@dataclass(frozen=True)
class Problem:
    """One refund that is not where it should be."""

    refund_id: str
    problem: str


def audit(ledger: Ledger, *, repair: bool, progress: Callable[[int], None]) -> Iterator[Problem]:
    """Look at every refund; with *repair* also mend. Tells *progress* how many it has seen.

    Each batch is judged in one script, so that a refund on its way is never seen in between.
    """
    ids = ledger.all_ids()
    while batch := list(itertools.islice(ids, BATCH)):
        yield from (Problem(*found) for found in ledger.misplaced(batch, repair=repair))
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
    """Compare finished refunds with Wix's own books, a few calls a second; reads only."""
    pause = threading.Event()
    for refund in refunds:
        store_id = refund.request.store_id
        try:
            store = keyring.find(store_id, stores.find(store_id).sealed)
        except SealedShut:
            store = None
        if store is None:
            yield Problem(refund.refund_id, "cannot be compared: no credentials of its store")
        else:
            reader = wix.store(store.store_id, store.api_key, before_mutation=_forbid)
            try:
                problem = _disagreement(refund, reader)
            except CallFailed as error:
                problem = f"cannot be compared: {error}"
            if problem:
                yield Problem(refund.refund_id, problem)
            pause.wait(1 / per_s)
        progress(1)


def _forbid() -> None:
    raise AssertionError("an audit changes nothing at Wix")


def _disagreement(refund: Refund, wix: WixStore) -> str:
    order_id = refund.request.order_id
    if refund.state is State.CANCELLED:
        order = wix.get_order(order_id)
        return "" if order.is_cancelled else f"Wix shows the order {order.status}"
    listed = wix.list_transactions(order_id)
    if refund.state is State.VOIDED:
        stands = ", ".join(payment.stands for payment in listed.payments)
        return "" if is_voided(listed.payments) else f"Wix shows the payments {stands}"
    known_id = refund.facts.get("wix_refund_id")
    ours = [r for r in listed.refunds if r.id == known_id or refund.fingerprint in r.reason]
    if len(ours) != 1:
        return f"Wix shows {len(ours)} refunds of ours"
    if set(ours[0].statuses) != {"SUCCEEDED"}:
        return f"Wix shows it {ours[0].statuses}"
    known = refund.facts.get("refund_amount")
    is_same = known is not None and Decimal(known) == ours[0].total
    return "" if is_same else f"Wix shows {ours[0].total:f}, not {known}"
