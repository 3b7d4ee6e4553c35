"""A thread goes on with a refund that the commit of its last step has handed to it.

No message is sent for that, and the refund is claimed already (`worker/ledger/lua/leases.lua`).
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, NamedTuple

#: A refund that a thread has run for longer gives way to a quiet store. Until then another thread
#: will be free sooner than the message would pay that the rest of the refund costs.
LONG_S = 0.25


class Handed(NamedTuple):
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
        self._refund_id, self._since_s = "", time.monotonic()

    @property
    def is_long(self) -> bool:
        """Whether the thread has run the same refund for so long that it gives way."""
        return time.monotonic() - self._since_s >= LONG_S

    def goes_on_with(self, refund_id: str) -> bool:
        """Whether the next step of the thread is one of this refund."""
        return self.next is not None and self.next.refund_id == refund_id

    def take(self) -> Handed | None:
        """Return what the last step was handed, once."""
        found, self.next = self.next, None
        if found and found.refund_id != self._refund_id:
            self._refund_id, self._since_s = found.refund_id, time.monotonic()
        return found
