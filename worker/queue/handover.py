"""A thread goes on with a refund that the commit of its last step has handed to it.

No message is sent for that, and the refund is claimed already (`worker/ledger/lua/leases.lua`).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Handed:
    """What the thread goes on with."""

    transition: str
    message_id: str
    """The id that its message would have."""
    claimed: tuple[Any, ...]
    """The answer to its claim (`worker/ledger/lua/claim.lua`)."""

    @property
    def refund_id(self) -> str:
        """The refund."""
        return self.message_id.rpartition("~")[0]


class Chain:
    """The steps that one thread makes one after the other."""

    def __init__(self, may_go_on: Callable[[], bool]) -> None:
        self.may_go_on = may_go_on
        """Whether the thread may take more, rather than fetch what waits, or stop."""
        self.next: Handed | None = None

    def take(self) -> Handed | None:
        """Return what the last step was handed, once."""
        found, self.next = self.next, None
        return found
