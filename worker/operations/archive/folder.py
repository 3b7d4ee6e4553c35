"""The directory of the archive: `DAY/HASH.jsonl.gz`, of which no file is ever changed.

DAY is the day (UTC) on which the refunds ended. A file is written under another name, forced to
the disk, read back and compared, and only then gets its name, the beginning of the SHA-256 of its
lines. So a file is complete or not there, and two workers that write the same lines at the same
time write the same file.
"""

from __future__ import annotations

import errno
import gzip
import hashlib
import json
import os
import shutil
import uuid
import zlib
from collections.abc import Iterator
from contextlib import suppress
from datetime import date
from pathlib import Path

#: Says which archive a directory is.
MARKER = "archive.json"
SUFFIX = ".jsonl.gz"
_UNFINISHED = ".unfinished"


class ArchiveProblem(Exception):
    """The archive cannot be used; the text says why."""


class Folder:
    """The files of one archive."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def marker(self) -> dict[str, str]:
        """Return what the directory says about itself, {} if it is no archive yet."""
        if not self.path.is_dir():
            raise ArchiveProblem(f"the directory {self.path} does not exist; is it mounted?")
        try:
            found = json.loads((self.path / MARKER).read_text())
            return {"archive": str(found["archive"]), "installation": str(found["installation"])}
        except FileNotFoundError:
            return {}
        except (OSError, ValueError, TypeError, KeyError) as error:
            raise ArchiveProblem(f"{self.path / MARKER} cannot be read: {_why(error)}") from error

    def mark(self, installation: str, archive_id: str = "") -> str:
        """Make the directory an archive, by default a new one; return its id."""
        archive_id = archive_id or uuid.uuid4().hex
        text = json.dumps({"archive": archive_id, "installation": installation}) + "\n"
        try:
            self._put(self.path / MARKER, text.encode())
            _sync_directory(self.path)
        except OSError as error:
            raise ArchiveProblem(f"{self.path} is not writable: {_why(error)}") from error
        return archive_id

    def free_bytes(self) -> int:
        """Return how much room there is; the directory must be writable."""
        if not os.access(self.path, os.W_OK):
            raise ArchiveProblem(f"{self.path} is not writable")
        try:
            return shutil.disk_usage(self.path).free
        except OSError as error:
            raise ArchiveProblem(f"{self.path} cannot be read: {_why(error)}") from error

    def write(self, day: date, lines: list[str]) -> Path:
        """Write lines; when this returns they are on the disk, and were read back from there.

        Raises:
            ArchiveProblem: they may not be.
        """
        text = "".join(f"{line}\n" for line in lines).encode()
        folder = self.path / day.isoformat()
        path = folder / f"{hashlib.sha256(text).hexdigest()[:16]}{SUFFIX}"
        try:
            folder.mkdir(mode=0o750, exist_ok=True)
            if not _holds(path, text):
                self._put(path, gzip.compress(text, mtime=0), text)
            # Also what a worker left that was killed before it came to this.
            _sync_directory(folder)
            _sync_directory(self.path)
        except OSError as error:
            raise ArchiveProblem(f"{folder} cannot be written: {_why(error)}") from error
        return path

    @staticmethod
    def _put(path: Path, data: bytes, text: bytes | None = None) -> None:
        """Write a file and read it back; *text* is what it holds when it is not compressed."""
        unfinished = path.with_name(f".{path.name}.{uuid.uuid4().hex[:8]}{_UNFINISHED}")
        try:
            with open(unfinished, "xb", opener=_not_for_all) as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
                _drop_from_memory(file.fileno())
            found = unfinished.read_bytes() if text is None else _content(unfinished)
            if found != (data if text is None else text):
                raise OSError("what was read back differs from what was written")
            unfinished.replace(path)
        finally:
            with suppress(OSError):
                unfinished.unlink(missing_ok=True)

    def days(self) -> list[date]:
        """Return the days of which there are refunds, oldest first."""
        if not self.path.is_dir():
            raise ArchiveProblem(f"the directory {self.path} does not exist; is it mounted?")
        found = []
        for folder in self._listed(self.path):
            with suppress(ValueError):
                found.append(date.fromisoformat(folder.name))
        return sorted(found)

    def files(self, day: date) -> list[Path]:
        """Return the files of a day."""
        folder = self.path / day.isoformat()
        return [path for path in self._listed(folder) if path.name.endswith(SUFFIX)]

    def lines(self, path: Path) -> Iterator[str]:
        """Yield the lines of a file.

        Raises:
            ArchiveProblem: the file is damaged; no line of it is yielded then.
        """
        try:
            text = _content(path)
        except OSError as error:
            raise ArchiveProblem(f"{path} cannot be read: {_why(error)}") from error
        if hashlib.sha256(text).hexdigest()[:16] != path.name.removesuffix(SUFFIX):
            raise ArchiveProblem(f"{path} is damaged: its lines do not have the hash in its name")
        # Not splitlines(): a text may hold other characters that end a line.
        yield from text.decode().split("\n")[:-1]

    @staticmethod
    def _listed(folder: Path) -> list[Path]:
        try:
            return sorted(folder.iterdir())
        except FileNotFoundError:
            return []
        except OSError as error:
            raise ArchiveProblem(f"{folder} cannot be read: {_why(error)}") from error


def _not_for_all(path: str, flags: int) -> int:
    """Open a file that only this user and its group may read: it holds what the ledger held."""
    return os.open(path, flags, 0o640)


def _content(path: Path) -> bytes:
    try:
        return gzip.decompress(path.read_bytes())
    except (EOFError, zlib.error) as error:
        raise OSError("it is damaged") from error


def _holds(path: Path, text: bytes) -> bool:
    """Whether a file is there and has this content; a damaged one is written anew."""
    with suppress(OSError):
        return _content(path) == text
    return False


def _drop_from_memory(descriptor: int) -> None:
    """Let the next read come from the disk, where the system can do that."""
    if hasattr(os, "posix_fadvise"):
        with suppress(OSError):
            os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)


def _sync_directory(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        # Some network drives have nothing to force for a directory.
        if error.errno != errno.EINVAL:
            raise
    finally:
        os.close(descriptor)


def _why(error: BaseException) -> str:
    return str(getattr(error, "strerror", None) or error)
