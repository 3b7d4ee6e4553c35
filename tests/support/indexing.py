"""Lists all refunds for finding."""

from __future__ import annotations

from tests.support.rig import Rig
from worker.ledger.reindexing import Reindexing


def index(rig: Rig) -> None:
    """List all refunds, as the worker that leads does."""
    clock = iter(range(10_000_000))
    indexing = Reindexing(
        rig.broker.client, rig.ledger.ns, rig.ledger.relist, lambda: float(next(clock))
    )
    indexing.turn()
    while indexing._pass is not None:
        indexing.turn()
