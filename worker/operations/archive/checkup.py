"""What `refunds doctor` says about the archive."""

from __future__ import annotations

from config.settings import Settings
from worker.ledger.keeping import Keeping
from worker.operations.archive.folder import ArchiveProblem, Folder
from worker.operations.archive.keeper import kept_since_ms
from worker.operations.archive.ownership import look
from worker.operations.finding import Finding

NOT_SET = "set REFUNDS_ARCHIVE to a directory that all machines see"
REPAIR = "until then nothing is forgotten, and Redis grows; the next try is within a minute"


def keeping_finding(keeping: Keeping, settings: Settings) -> Finding:
    """Check that finished refunds are archived and forgotten in time; changes nothing."""
    days = settings.keep_finished_days
    old = keeping.count_before(kept_since_ms(keeping.clock()[0], days))
    text = f"{old:,} refunds that finished are older than {days} days"
    if settings.archive is None:
        if not old:
            return Finding("archive", "ok", f"{text}; without REFUNDS_ARCHIVE all are kept")
        return Finding("archive", "warning", f"{text} and stay: there is no archive", NOT_SET)
    told = keeping.told()
    try:
        look(keeping, Folder(settings.archive))
        free = Folder(settings.archive).free_bytes()
    except ArchiveProblem as problem:
        return Finding("archive", "warning", str(problem), REPAIR)
    if last := told.get("problem"):
        return Finding("archive", "warning", f"the worker says: {last}", REPAIR)
    forgotten = int(told.get("forgotten", 0))
    where = f"{forgotten:,} are in {settings.archive}, where {free / 1e9:.1f} GB are free"
    return Finding("archive", "ok", f"{text}; {where}")
