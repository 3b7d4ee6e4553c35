"""A scheduler that wakes what is due and requeues what was lost, and does nothing else."""

from __future__ import annotations

import time
from collections.abc import Callable

from tests.support.rig import Rig
from worker.ledger.refunds import Ledger
from worker.scheduler.scheduler import Scheduler, Turns


def scheduler_of(
    rig: Rig,
    monotonic: Callable[[], float] = time.monotonic,
    *,
    ledger: Ledger | None = None,
) -> Scheduler:
    """Return a scheduler of a rig's worker, or of the same worker with another ledger."""

    def nothing(_: Callable[[], bool]) -> None:
        """Look at no finished refund, and for no outage."""

    turns = Turns(
        watch=nothing, observe=nothing, outages=nothing, jobs=nothing, keep=nothing, webhooks={}
    )
    return Scheduler(
        rig.broker,
        ledger or rig.ledger,
        rig.prober(),
        rig.settings,
        monotonic,
        "boot",
        turns=turns,
    )
