"""Ask Wix about the order of a refund, without changing anything there."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from config.settings import Settings
from worker.errors import CallFailed
from worker.flows.own_refunds import all_ours
from worker.ledger.refunds import Ledger
from worker.ledger.stores import Stores
from worker.observability.redaction import redact_text
from worker.refund.record import Refund
from worker.stores.keyring import Keyring
from worker.stores.vault import NoKey
from worker.wix.client import ClientFactory, WixStore


@dataclass(frozen=True, kw_only=True)
class WixDesk:
    """What is needed to ask Wix about any refund."""

    keyring: Keyring
    ledger: Ledger
    stores: Stores
    wix: ClientFactory
    settings: Settings

    def reader(self, refund: Refund) -> WixStore:
        """Return a client of the refund's store that only reads.

        Raises:
            NoKey: there is no usable key for this store.
        """
        store_id = refund.request.store_id
        known = self.keyring.credentials(store_id, self.stores.find(store_id).sealed)
        return self.wix.reader(known.store_id, known.api_key)

    def refunds_of(self, refund: Refund) -> Callable[[], Iterable[str]]:
        """Return what lists our refunds of the same order."""
        request = refund.request
        return lambda: self.ledger.of_order(request.store_id, request.order_id)


@dataclass(frozen=True, kw_only=True)
class Shown:
    """What Wix shows of an order at this moment."""

    order_status: str = ""
    refunded: str = ""
    """The sum of all refunds of the order, a decimal in the order's currency."""
    ours: tuple[str, ...] = ()
    """Wix's ids of those that we made."""
    ours_settled: bool = False
    """Whether the payment provider has carried all of ours out."""
    unknown: str = ""
    """Why Wix could not be asked, "" if it could."""

    def public(self) -> dict[str, Any]:
        """Return what is known, for records and for upstream."""
        if self.unknown:
            return {"checked": False, "why": self.unknown}
        return {
            "checked": True,
            "order_status": self.order_status,
            "refunded": self.refunded,
            "our_refunds": list(self.ours),
        }

    def __str__(self) -> str:
        if self.unknown:
            return f"Wix could not be asked: {self.unknown}"
        ours = f", by us: {', '.join(self.ours)}" if self.ours else ", none of it by us"
        return f"Wix shows the order as {self.order_status}, refunded {self.refunded}{ours}"


def look(refund: Refund, desk: WixDesk) -> Shown:
    """Ask Wix what it shows of the order."""
    order_id = refund.request.order_id
    try:
        wix = desk.reader(refund)
        order = wix.get_order(order_id)
        listed = wix.list_transactions(order_id)
    except (NoKey, CallFailed) as error:
        return Shown(unknown=redact_text(str(error)))
    moved = [one for one in listed.refunds if set(one.statuses) != {"FAILED"}]
    ours = all_ours(refund, listed)
    return Shown(
        order_status=str(order.status),
        refunded=f"{sum((one.total for one in moved), start=0):f}" if moved else "0",
        ours=tuple(one.id for one in ours),
        ours_settled=bool(ours) and all(set(one.statuses) == {"SUCCEEDED"} for one in ours),
    )
