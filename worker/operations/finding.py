"""What a check of the installation found."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

#: Levels with which an installation is not fit.
UNFIT = frozenset({"failed", "refused"})


@dataclass(frozen=True)
class Finding:
    """The result of one check."""

    check: str
    level: Literal["ok", "note", "warning", "failed", "refused"]
    """`failed`: nothing is refunded until it is put right; `refused`: no worker starts."""
    text: str
    todo: str = ""
    """What to do about it, if the text does not say so."""
