"""The calls to Wix that this process has made lately, in case Redis forgets their intents.

Each mutating call has an intent in the ledger, and each heartbeat has a number there. A server that
takes over has a beginning of what was written: with a heartbeat it has every intent that was
answered before that heartbeat was sent. So each call is kept with the number of the last heartbeat
that had been sent when its intent was answered, and a call may be forgotten if the ledger knows no
later heartbeat.

An intent counts only in the era of the ledger in which it was asked for: after a failover the
answer of the old primary comes too late, and the call is not made. Nor does a process go back to
the old primary, which may go on: the others rely on what it has said at the new one.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from typing import NamedTuple

#: More must not be forgotten, or other workers may have come and gone meanwhile of which the ledger
#: knows nothing. `refunds doctor` recommends the same as `min-replicas-max-lag`.
MOST_FORGOTTEN_S = 10.0
#: How many calls are kept; if there are more, less may be forgotten.
MOST_CALLS = 50_000


class _Call(NamedTuple):
    order: str
    """STORE|ORDER."""
    beat: int
    """The last heartbeat that had been sent when its intent was answered."""


class Lost(NamedTuple):
    """What a server may have forgotten of the calls of this process."""

    orders: list[str]
    are_all: bool
    """Whether no other order can be meant."""


class OwnCalls:
    """Numbers the heartbeats, and keeps the calls; all threads share it."""

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._calls: deque[_Call] = deque()
        self._sent = 0
        #: Heartbeats that the ledger has answered, and when: those of the last seconds.
        self._heard: deque[tuple[int, float]] = deque()
        #: The ledger must know this heartbeat, or more is forgotten than this process can name.
        self._least = 0
        self._era: str | None = None
        #: The latest doubt for which this process has named its calls, and when it last did so or
        #: heard of that server.
        self._doubt_ms = 0
        self._doubt_s = 0.0

    @property
    def beats(self) -> bool:
        """Whether this process sends heartbeats; a command does not."""
        return self._sent > 0

    @property
    def era(self) -> str | None:
        """The era in which this process has vouched for its calls; None for none."""
        return self._era

    def next_beat(self) -> tuple[int, str]:
        """Return the number of a heartbeat that is sent now, and the era that it names."""
        with self._lock:
            self._sent += 1
            return self._sent, self._era or ""

    def heard(self, number: int, era: str) -> bool:
        """Note the answer to a heartbeat; returns whether this process has vouched in this era."""
        with self._lock:
            if era != self._era:
                self._era = None
                return False
            self._doubt_s = self._monotonic()
            self._note_heard(number)
            return True

    def begins(self, era: str, settle_s: float) -> float:
        """Note that this process names its calls in *era* now; returns 0.

        If that is older than the one in which it has vouched last, the server was replaced, and the
        others may make calls there that it would make as well. Until *settle_s* after it heard of
        that one, it makes none here: this returns how many seconds are left.
        """
        doubt_ms = _doubt_ms(era)
        with self._lock:
            now_s = self._monotonic()
            left_s = self._doubt_s + settle_s - now_s
            if doubt_ms < self._doubt_ms and left_s > 0:
                return left_s
            self._doubt_ms, self._doubt_s = doubt_ms, now_s
            return 0.0

    def made(self, order: str, era: str | None) -> bool:
        """Note a call whose intent was written in *era*; returns whether it may be made."""
        with self._lock:
            if era != self._era:
                return False
            self._calls.append(_Call(order, self._sent))
            while len(self._calls) > MOST_CALLS:
                self._least = max(self._least, self._calls.popleft().beat + 1)
            return True

    def leave_era(self, found: int) -> Lost:
        """Return the orders of the calls that a ledger may have forgotten which knows beat *found*.

        From now on no intent counts.
        """
        with self._lock:
            self._era = None
            orders = dict.fromkeys(call.order for call in self._calls if call.beat >= found)
            return Lost(list(orders), are_all=found >= self._least)

    def enter_era(self, era: str, number: int, found: int) -> None:
        """Let intents count again: the ledger has what is lost, with heartbeat *number*."""
        with self._lock:
            self._era = era
            # The ledger has these calls only if it has this heartbeat.
            self._calls = deque(
                call if call.beat < found else call._replace(beat=number - 1)
                for call in self._calls
            )
            self._note_heard(number)

    def _note_heard(self, number: int) -> None:
        now_s = self._monotonic()
        self._heard.append((number, now_s))
        while self._heard[0][1] < now_s - MOST_FORGOTTEN_S:
            self._least = max(self._least, self._heard.popleft()[0])
        while self._calls and self._calls[0].beat < self._least:
            self._calls.popleft()


def _doubt_ms(era: str) -> int:
    """Return the doubt with which an era began (`lost_writes.lua`), 0 for the first one."""
    return int(era.rpartition("|")[2].partition("-")[0] or 0)
