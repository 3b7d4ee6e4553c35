"""Older versions of the worker, unpacked from the history of the repository.

They run with the packages of this one: between the two, no pinned version changed.
"""

from __future__ import annotations

import io
import subprocess
import zipfile
from pathlib import Path

ROOT = Path(__file__).parents[2]
#: The release before this one.
PREVIOUS = "561fbf8c1019cac546b3d6f2712e5551dba0873a"
#: A later version, from before stores took turns.
WITHOUT_TURNS = "e44c98d74b0cd4a0b4c5c5a5190b1640c14e3a7e"
WHY_NOT = f"the clone does not contain the commit {PREVIOUS} of the previous release"


def unpack_previous(folder: Path, commit: str = PREVIOUS) -> bool:
    """Unpack the sources into *folder*; returns False if the clone does not contain them."""
    command = ["git", "-C", str(ROOT), "archive", "--format=zip", commit]
    packages = ["worker", "config", "statemachine"]
    packed = subprocess.run([*command, *packages], capture_output=True, check=False)
    if packed.returncode == 0:
        with zipfile.ZipFile(io.BytesIO(packed.stdout)) as files:
            files.extractall(folder)
    return packed.returncode == 0
