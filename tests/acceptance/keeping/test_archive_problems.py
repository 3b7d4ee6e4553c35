"""Without a safe copy in the archive nothing is forgotten, and somebody is told."""

from __future__ import annotations

import errno
import gzip
import io
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.support.ages import finished, keep, keeper
from tests.support.rig import Rig
from worker.operations.archive.entry import day_of, line_of
from worker.operations.archive.folder import MARKER, ArchiveProblem, Folder


def _told(rig: Rig, log: io.StringIO) -> str:
    """Return the problem that was logged and that the ledger remembers."""
    events = [json.loads(line) for line in log.getvalue().splitlines()]
    problems = {event["error"] for event in events if event["event"] == "archive.failed"}
    assert problems == {rig.ledger.keeping.told()["problem"]}
    return str(problems.pop())


def _assert_kept(rig: Rig, refund_id: str) -> None:
    assert rig.load(refund_id).refund_id == refund_id
    assert rig.ledger.tombstone(refund_id) is None


def test_without_an_archive_nothing_is_forgotten(rig: Rig, log: io.StringIO) -> None:
    """Redis grows; `refunds doctor` says so."""
    refund_id = finished(rig)
    keep(rig, None)
    _assert_kept(rig, refund_id)
    assert "archive" not in log.getvalue()


def test_a_directory_that_does_not_exist_is_not_created(
    rig: Rig, tmp_path: Path, log: io.StringIO
) -> None:
    """A drive that is not mounted looks like this."""
    refund_id = finished(rig)
    keep(rig, tmp_path / "drive")
    assert "does not exist; is it mounted?" in _told(rig, log)
    _assert_kept(rig, refund_id)
    assert list(tmp_path.iterdir()) == []


def test_an_empty_directory_in_the_place_of_the_archive_is_refused(
    rig: Rig, tmp_path: Path, log: io.StringIO
) -> None:
    """Where a drive is not mounted, its place may be an empty directory of another drive."""
    drive, empty = tmp_path / "drive", tmp_path / "empty"
    drive.mkdir()
    empty.mkdir()
    first = finished(rig)
    keep(rig, drive)
    second = finished(rig)
    keep(rig, empty)
    assert "not this ledger's archive" in _told(rig, log)
    _assert_kept(rig, second)
    assert rig.ledger.load(first) is None
    assert list(empty.iterdir()) == []
    keep(rig, drive)
    assert rig.ledger.load(second) is None
    assert rig.ledger.keeping.told()["problem"] == ""


def test_the_archive_of_another_ledger_is_refused(
    rig: Rig, tmp_path: Path, log: io.StringIO
) -> None:
    """Two installations with the same ids must not be mixed."""
    refund_id = finished(rig)
    Folder(tmp_path).mark("another-installation")
    keep(rig, tmp_path)
    assert "another ledger" in _told(rig, log)
    _assert_kept(rig, refund_id)


@pytest.mark.parametrize("text", ["", "[]", "{", '{"archive": 1}'])
def test_a_damaged_mark_is_told(rig: Rig, tmp_path: Path, log: io.StringIO, text: str) -> None:
    """It is neither replaced nor ignored."""
    refund_id = finished(rig)
    (tmp_path / MARKER).write_text(text)
    keep(rig, tmp_path)
    assert str(tmp_path) in _told(rig, log)
    _assert_kept(rig, refund_id)
    assert (tmp_path / MARKER).read_text() == text


def _fails(number: int) -> Callable[..., Any]:
    def call(*_: Any, **__: Any) -> Any:
        raise OSError(number, os.strerror(number))

    return call


@pytest.mark.parametrize("name", ["fsync", "mkdir", "replace", "open"])
@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EACCES, errno.EIO, errno.EROFS])
def test_a_full_or_broken_disk_is_told(
    rig: Rig,
    tmp_path: Path,
    log: io.StringIO,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    number: int,
) -> None:
    """Whatever the call that fails; no file is left behind, and it goes on when there is room."""
    keep(rig, tmp_path)
    refund_id = finished(rig)
    with monkeypatch.context() as broken:
        broken.setattr(os, name, _fails(number))
        keep(rig, tmp_path)
    assert os.strerror(number) in _told(rig, log)
    _assert_kept(rig, refund_id)
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == [tmp_path / MARKER]
    keep(rig, tmp_path)
    assert rig.ledger.load(refund_id) is None


def test_what_is_read_back_differently_is_not_trusted(
    rig: Rig, tmp_path: Path, log: io.StringIO, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The disk said that it had written everything."""
    keep(rig, tmp_path)
    refund_id = finished(rig)
    with monkeypatch.context() as broken:
        read = Path.read_bytes
        broken.setattr(Path, "read_bytes", lambda path: read(path)[:-20])
        keep(rig, tmp_path)
    assert "damaged" in _told(rig, log)
    _assert_kept(rig, refund_id)


def test_a_crash_between_archive_and_forgetting_loses_nothing(rig: Rig, tmp_path: Path) -> None:
    """The next run writes the same file again, not a second one."""
    refund_id = finished(rig)

    class Crash(BaseException):
        """The worker is killed."""

    one = keeper(rig, tmp_path)

    def crash(_: object) -> int:
        raise Crash

    one._keeping = _Killed(rig.ledger.keeping, crash)  # type: ignore[assignment]  # a stand-in
    with pytest.raises(Crash):
        one.turn(lambda: False)
    _assert_kept(rig, refund_id)
    files = list(tmp_path.rglob("*.gz"))
    keep(rig, tmp_path)
    assert rig.ledger.load(refund_id) is None
    assert list(tmp_path.rglob("*.gz")) == files
    assert len(files) == 1


class _Killed:
    """The ledger's side, without the forgetting."""

    def __init__(self, keeping: object, forget: Callable[..., int]) -> None:
        self._keeping, self.forget = keeping, forget

    def __getattr__(self, name: str) -> Any:
        return getattr(self._keeping, name)


def test_a_damaged_file_is_told_and_never_taken_for_a_copy(rig: Rig, tmp_path: Path) -> None:
    """A file with the right name but other bytes is written anew."""
    found = rig.ledger.keeping.read([finished(rig)])
    folder, lines = Folder(tmp_path), [line_of(one) for one in found]
    path = folder.write(day_of(found[0].ended_at_ms), lines)
    whole = path.read_bytes()
    for damaged in (whole[:-30], b"", gzip.compress(b"other"), b"text"):
        path.write_bytes(damaged)
        with pytest.raises(ArchiveProblem, match=r"is damaged|cannot be read"):
            list(folder.lines(path))
        assert folder.write(day_of(found[0].ended_at_ms), lines) == path
        assert list(folder.lines(path)) == lines


def test_while_an_older_worker_is_alive_nothing_is_forgotten(
    rig: Rig, tmp_path: Path, log: io.StringIO
) -> None:
    """It would take a repeat of a forgotten job for a conflict."""
    rig.redis.zadd(rig.key("workers"), {"old-worker": 10**14})
    keep(rig, tmp_path)
    assert rig.ledger.keeping.told()["problem"] == ""
    refund_id = finished(rig)
    keep(rig, tmp_path)
    assert "older version is alive, which does not know forgotten refunds: old-worker" in _told(
        rig, log
    )
    _assert_kept(rig, refund_id)


def test_a_drive_that_is_unmounted_meanwhile_is_noticed_before_anything_is_forgotten(
    rig: Rig, tmp_path: Path, log: io.StringIO, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The files may be on another drive then."""
    drive, unmounted = tmp_path / "drive", tmp_path / "unmounted"
    drive.mkdir()
    keep(rig, drive)
    refund_id = finished(rig)
    write = Folder.write

    def write_elsewhere(folder: Folder, *given: Any) -> Path:
        if not unmounted.exists():
            drive.rename(unmounted)
            drive.mkdir()
        return write(folder, *given)

    with monkeypatch.context() as broken:
        broken.setattr(Folder, "write", write_elsewhere)
        keep(rig, drive)
    assert "not this ledger's archive" in _told(rig, log)
    _assert_kept(rig, refund_id)


def test_a_problem_is_over_when_there_is_no_archive_any_more(rig: Rig, tmp_path: Path) -> None:
    """`refunds status` says nothing of it then."""
    keep(rig, tmp_path / "none")
    assert rig.ledger.keeping.told()["problem"]
    keep(rig, None)
    assert rig.ledger.keeping.told()["problem"] == ""
