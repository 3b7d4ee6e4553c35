"""Is this directory the archive of this ledger? A drive that is not mounted must not be used."""

from __future__ import annotations

from worker.ledger.audit_log import Operator
from worker.ledger.keeping import Keeping
from worker.operations.archive.folder import ArchiveProblem, Folder

UNMARKED = "{} is not this ledger's archive, it has no archive.json; is it mounted? {}"
OF_ANOTHER = "{} is the archive of another ledger. {}"
TODO = "If it is to be the archive from now on: refunds archive adopt"


def look(keeping: Keeping, folder: Folder) -> str:
    """Return the id of the archive, "" if neither ledger nor directory has one yet.

    Raises:
        ArchiveProblem: the directory is missing, or not the archive of this ledger.
    """
    mark, known = folder.marker(), keeping.told().get("archive", "")
    if not mark and known:
        raise ArchiveProblem(UNMARKED.format(folder.path, TODO))
    is_known = mark.get("archive") == known if known else keeping.is_ours(mark.get("installation"))
    if mark and not is_known:
        raise ArchiveProblem(OF_ANOTHER.format(folder.path, TODO))
    return mark.get("archive", "")


def take(keeping: Keeping, folder: Folder) -> None:
    """Look, and make the directory the archive if there is none yet.

    Raises:
        ArchiveProblem: as in `look`, or the directory is not writable.
    """
    if known := look(keeping, folder):
        keeping.claim_archive(known)
        return
    made = folder.mark(keeping.installation())
    # Another worker may have come first.
    if (claimed := keeping.claim_archive(made)) != made:
        folder.mark(keeping.installation(), claimed)


def adopt(keeping: Keeping, folder: Folder, operator: Operator) -> str:
    """Make the directory the archive of the ledger, whatever was before; return its id.

    Raises:
        ArchiveProblem: it is missing, or not writable.
    """
    archive_id = folder.marker().get("archive") or folder.mark(keeping.installation())
    before, after = keeping.told().get("archive"), {"archive": archive_id}
    keeping.adopt_archive(archive_id, operator.act("archive.adopt", "", {"archive": before}, after))
    return archive_id
