"""What a check of the installation found."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Finding:
    """The result of one check."""

    check: str
    level: Literal["ok", "warning", "refused"]
    text: str
    todo: str = ""
    """What to do about it, if the text does not say so."""
