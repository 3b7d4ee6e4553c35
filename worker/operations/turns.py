"""What the background threads of a worker do beside steps: put together from its parts."""

from __future__ import annotations

from collections.abc import Callable

from config.settings import Settings
from worker.ledger.refunds import Ledger
from worker.operations.acts.wix_desk import WixDesk
from worker.operations.archive.keeper import Keeper
from worker.operations.trimming import Trimmer
from worker.stores.probing import Prober
from worker.stores.waiting import Unconnected


def prober_of(desk: WixDesk) -> Prober:
    """Return what asks Wix again about stores whose refunds wait."""
    stores, keyring, settings = desk.stores, desk.keyring, desk.settings
    unconnected = Unconnected(
        stores=stores, records=desk.ledger, keyring=keyring, settings=settings
    )
    return Prober(
        stores=stores, keyring=keyring, wix=desk.wix, settings=settings, unconnected=unconnected
    )


def keep_turn(
    ledger: Ledger, settings: Settings, monotonic: Callable[[], float]
) -> Callable[[Callable[[], bool]], None]:
    """Return what keeps Redis from growing: packs, archives and forgets refunds, trims outcomes."""
    trimmer = Trimmer(ledger.keeping, settings, monotonic)
    keeper = Keeper(ledger.keeping, settings, monotonic)

    def turn(is_stopping: Callable[[], bool]) -> None:
        ledger.packing.turn(is_stopping)
        trimmer.turn()
        keeper.turn(is_stopping)

    return turn
