"""Moves finished refunds into the archive when they have been kept long enough.

First the archive has them on its disk, then the ledger forgets them. A crash in between writes them
to the archive once more, which changes nothing: the same lines have the same file. Only the worker
that leads does this, but two at once do no harm either.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, timedelta
from itertools import groupby

from config.settings import Settings
from worker.ledger.keeping import STATES, Finished, Keeping
from worker.observability.events import log_event
from worker.operations.archive.entry import day_of, line_of
from worker.operations.archive.folder import ArchiveProblem, Folder
from worker.operations.archive.ownership import take

#: How many refunds one turn moves.
BATCH = 500
#: Pause after all that was due is done, and after a problem, s.
IDLE_S, PROBLEM_S = 600.0, 60.0

OLDER_WORKER = "a worker of an older version is alive, which does not know forgotten refunds: {}"


class Keeper:
    """Archives and forgets, piece by piece."""

    def __init__(
        self,
        keeping: Keeping,
        settings: Settings,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._keeping = keeping
        self._folder = Folder(settings.archive) if settings.archive else None
        self._keep_days = settings.keep_finished_days
        self._dead_after_ms = settings.worker_dead_after_ms
        self._monotonic = monotonic
        self._pass: Iterator[list[Finished]] | None = None
        self._next_s = 0.0
        self._problem = ""

    def turn(self, is_stopping: Callable[[], bool]) -> None:
        """Move the next refunds; a problem is told, and nothing is forgotten then."""
        if self._monotonic() < self._next_s or is_stopping():
            return
        problem, wait_s = "", IDLE_S
        try:
            if self._folder:
                self._move(self._folder)
                wait_s = IDLE_S if self._pass is None else 0.0
        except ArchiveProblem as error:
            self._pass, problem, wait_s = None, str(error), PROBLEM_S
            log_event("archive.failed", error=problem)
        wall_ms, _ = self._keeping.clock()
        if wait_s or problem != self._problem:
            self._keeping.tell(at_ms=wall_ms, problem=problem)
        self._problem, self._next_s = problem, self._monotonic() + wait_s

    def _check_workers(self) -> None:
        """Check that all workers know tombstones."""
        if older := self._keeping.older_workers(self._dead_after_ms):
            raise ArchiveProblem(OLDER_WORKER.format(older[0]))

    def _move(self, folder: Folder) -> None:
        take(self._keeping, folder)
        self._pass = self._pass or self._due()
        found = next(self._pass, None)
        if found is None:
            self._pass = None
            return
        if found:
            self._check_workers()
        files = 0
        for day, refunds in groupby(found, key=_day):
            folder.write(day, [line_of(one) for one in refunds])
            files += 1
        # The drive may have been unmounted meanwhile, so that the files are in another place.
        take(self._keeping, folder)
        if found:
            forgotten = self._keeping.forget(found)
            log_event("refunds.forgotten", count=forgotten, files=files)

    def _due(self) -> Iterator[list[Finished]]:
        """Yield what is due, in batches; what was yielded must be gone before the next one."""
        before_ms = kept_since_ms(self._keeping.clock()[0], self._keep_days)
        for state in STATES:
            skip = 0
            while ids := self._keeping.accepted_before(state, before_ms, skip=skip, limit=BATCH):
                found = self._keeping.read(ids)
                old = [one for one in found if one.ended_at_ms < before_ms and one.is_recognised]
                due = sorted(self._keeping.due(old), key=_order)
                yield due
                # What stays is in front of what comes next.
                skip += self._keeping.count_left(state, ids)


def kept_since_ms(now_ms: int, keep_days: int) -> int:
    """Return the beginning of the first day of which the ledger keeps the finished refunds."""
    first = datetime.combine(day_of(now_ms), datetime.min.time(), UTC) - timedelta(days=keep_days)
    return round(first.timestamp() * 1000)


def _day(one: Finished) -> date:
    return day_of(one.ended_at_ms)


def _order(one: Finished) -> tuple[int, str]:
    return one.ended_at_ms, one.refund.refund_id
