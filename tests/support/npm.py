"""Packages of the npm registry, for tests in Node."""

from __future__ import annotations

import fcntl
import subprocess
from pathlib import Path


def install(folder: Path) -> str:
    """Install the packages of the folder's lock file, once for each version of the file.

    Tests of several processes may ask for it at the same time; one installs, the others wait.
    Returns why that is not possible, "" if it was.
    """
    with (folder / "package-lock.json").open() as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        return _install(folder)


def _install(folder: Path) -> str:
    stamp, lock = folder / "node_modules" / ".installed", (folder / "package-lock.json").read_text()
    if stamp.exists() and stamp.read_text() == lock:
        return ""
    command = ["npm", "ci", "--fetch-timeout=20000", "--fetch-retries=1"]
    try:
        done = subprocess.run(
            command, cwd=folder, capture_output=True, text=True, timeout=240, check=False
        )
    except subprocess.TimeoutExpired:
        return f"npm took too long to install the packages of {folder.name}"
    if done.returncode:
        return f"npm cannot install the packages of {folder.name}: {done.stderr[-300:]}"
    stamp.write_text(lock)
    return ""
