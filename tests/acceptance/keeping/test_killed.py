"""A worker is killed while it archives: each refund is in Redis, in the archive, or in both."""

from __future__ import annotations

import json
import signal
from pathlib import Path

import pytest

from tests.chaos.child import fork
from tests.support.ages import finished, keep
from tests.support.commands import settings_of
from tests.support.killed_keeper import POINTS, archive_until
from tests.support.rig import Rig
from worker.operations.archive.folder import Folder


def _kill(rig: Rig, archive: Path, point: str) -> int:
    """Archive in a process that is killed at the point; returns how it ended."""
    environment = settings_of(rig) | {"REFUNDS_ARCHIVE": str(archive)}
    process = fork(archive_until, point, environment)
    process.join()
    assert process.exitcode is not None
    return process.exitcode


def _archived(archive: Path) -> list[str]:
    folder = Folder(archive)
    paths = [path for day in folder.days() for path in folder.files(day)]
    return sorted(json.loads(line)["refund_id"] for path in paths for line in folder.lines(path))


@pytest.mark.parametrize("point", POINTS)
def test_nothing_is_lost_wherever_it_is_killed(rig: Rig, tmp_path: Path, point: str) -> None:
    """The next worker goes on; what it finishes is in the archive once."""
    ids = sorted(finished(rig, days_ago=days) for days in (120, 120, 110, 100))
    assert _kill(rig, tmp_path, point) == -signal.SIGKILL
    whole = {refund_id for refund_id in ids if rig.ledger.load(refund_id)}
    assert set(_archived(tmp_path)) | whole == set(ids)
    keep(rig, tmp_path)
    assert rig.ledger.keeping.told()["problem"] == ""
    assert [refund_id for refund_id in ids if rig.ledger.load(refund_id)] == []
    assert _archived(tmp_path) == ids
