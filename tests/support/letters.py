"""The dead letters of a rig, as `refunds dead list` shows them."""

from __future__ import annotations

from typing import Any

from tests.support.rig import Rig
from worker.ledger.search import Search
from worker.operations.acts.wix_desk import WixDesk
from worker.operations.listing import letter_rows, list_refunds
from worker.operations.selection import Selection


def letters(rig: Rig) -> list[dict[str, Any]]:
    """Return all dead letters: refunds, then messages."""
    search, everything = Search(rig.broker.client, namespace=rig.settings.namespace), Selection()
    refunds = list_refunds(
        search, rig.ledger, everything, dead=True, sort="newest", after="", limit=None
    )
    return [*refunds.rows, *letter_rows(search.letters(), everything)]


def desk_of(rig: Rig) -> WixDesk:
    """Return what the acts on dead letters ask Wix with."""
    return WixDesk(
        keyring=rig.steps.keyring,
        ledger=rig.ledger,
        stores=rig.stores,
        wix=rig.wix,
        settings=rig.settings,
    )
