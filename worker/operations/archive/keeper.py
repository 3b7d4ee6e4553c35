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

#: How many refunds one turn moves.
BATCH = 500
#: Pause after all that was due is done, and after a problem, s.
IDLE_S, PROBLEM_S = 600.0, 60.0

OLDER_WORKER = "a worker of an older version is alive, which does not know forgotten refunds: {}"
WITHOUT_MARK = "{} is not this ledger's archive: it has no archive.json; is it mounted?"
ANOTHER = "{} is the archive of another ledger"


class Keeper:
    """Archives and forgets, piece by piece."""

    def __init__(
        self,
        keeping: Keeping,
        settings: Settings,
        installation: Callable[[], str | None],
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._keeping = keeping
        self._folder = Folder(settings.archive) if settings.archive else None
        self._keep_days = settings.keep_finished_days
        self._dead_after_ms = settings.worker_dead_after_ms
        self._installation = installation
        """Returns the installation that the worker belongs to."""
        self._monotonic = monotonic
        self._pass: Iterator[list[Finished]] | None = None
        self._next_s = 0.0
        self._problem = ""

    def turn(self, is_stopping: Callable[[], bool]) -> None:
        """Move the next refunds; a problem is told, and nothing is forgotten then."""
        if self._folder is None or self._monotonic() < self._next_s or is_stopping():
            return
        try:
            self._check()
            self._move(self._folder)
            problem, wait_s = "", IDLE_S if self._pass is None else 0.0
        except ArchiveProblem as error:
            self._pass, problem, wait_s = None, str(error), PROBLEM_S
            log_event("archive.failed", error=problem)
        wall_ms, _ = self._keeping.clock()
        if wait_s or problem != self._problem:
            self._keeping.tell(at_ms=wall_ms, problem=problem)
        self._problem, self._next_s = problem, self._monotonic() + wait_s

    def _check(self) -> None:
        """Check that this is the archive of this ledger, and that all workers know tombstones."""
        check_archive(self._keeping, self._folder, self._installation() or "")
        if older := self._keeping.older_workers(self._dead_after_ms):
            raise ArchiveProblem(OLDER_WORKER.format(older[0]))

    def _move(self, folder: Folder) -> None:
        self._pass = self._pass or self._due()
        found = next(self._pass, None)
        if found is None:
            self._pass = None
            return
        files = []
        for day, refunds in groupby(found, key=_day):
            files.append(folder.write(day, [line_of(one) for one in refunds]))
        forgotten = self._keeping.forget(found)
        if files:
            size = sum(path.stat().st_size for path in files)
            log_event("refunds.forgotten", count=forgotten, files=len(files), bytes=size)

    def _due(self) -> Iterator[list[Finished]]:
        """Yield what is due, in batches; what was yielded must be gone before the next one."""
        before = _midnight(self._keeping.clock()[0]) - timedelta(days=self._keep_days)
        before_ms = round(before.timestamp() * 1000)
        for state in STATES:
            skip = 0
            while ids := self._keeping.accepted_before(state, before_ms, skip=skip, limit=BATCH):
                found = self._keeping.read(ids)
                old = [one for one in found if one.ended_at_ms < before_ms and one.is_recognised]
                due = sorted(self._keeping.due(old), key=_order)
                yield due
                # What stays is in front of what comes next.
                skip += self._keeping.count_left(state, ids)


def check_archive(keeping: Keeping, folder: Folder | None, installation: str) -> None:
    """Check that this directory is the archive of this ledger; the first one is taken.

    Raises:
        ArchiveProblem: it is not; a network drive that is not mounted looks like this.
    """
    if folder is None:
        return
    mark, known = folder.marker(), keeping.told().get("archive", "")
    if not mark and known:
        raise ArchiveProblem(WITHOUT_MARK.format(folder.path))
    if mark and not known and mark.get("installation") != installation:
        raise ArchiveProblem(ANOTHER.format(folder.path))
    archive_id = mark.get("archive") or folder.mark(installation)
    if keeping.claim_archive(archive_id) != archive_id:
        raise ArchiveProblem(ANOTHER.format(folder.path))


def _midnight(at_ms: int) -> datetime:
    return datetime.combine(day_of(at_ms), datetime.min.time(), UTC)


def _day(one: Finished) -> date:
    return day_of(one.ended_at_ms)


def _order(one: Finished) -> tuple[int, str]:
    return one.ended_at_ms, one.refund.refund_id
