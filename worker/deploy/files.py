"""The files of this folder, and their copies for an operator."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from worker.deploy.roles import acl_files

FOLDER = Path(__file__).parent
#: What is exported, relative to this folder.
FILES: Sequence[str] = (
    "Containerfile",
    "requirements.lock",
    "refunds-worker.service",
    "compose.yaml",
    "prometheus.yml",
    "kubernetes.yaml",
    "acl/users.sh",
    *(f"acl/{name}" for name in acl_files()),
)


class AlreadyThere(Exception):
    """Some of the files exist; nothing was written."""

    def __init__(self, paths: Sequence[Path]) -> None:
        super().__init__(f"already there: {', '.join(map(str, paths))}")


def export(
    directory: Path, *, force: bool, folder: Path = FOLDER, names: Sequence[str] = FILES
) -> Iterator[Path]:
    """Write the files *names* of a folder, making directories as needed; yields the path of each.

    Raises:
        AlreadyThere: there are such files, and *force* does not say to replace them.
        OSError: a file cannot be written.
    """
    if directory.exists() and not directory.is_dir():
        raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), str(directory))
    paths = {name: directory / name for name in names}
    present = [path for path in paths.values() if path.exists()]
    if present and not force:
        raise AlreadyThere(present)
    for name, path in paths.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes((folder / name).read_bytes())
        yield path
