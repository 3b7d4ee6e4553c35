"""After a failover each worker names its calls that Redis may have forgotten (`lua/vouch.lua`).

It *vouches* for them: what no worker has named was not forgotten, and refunds go on within seconds.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from math import ceil
from typing import Any

from worker.ledger.durability import Replicas
from worker.observability.events import log_event
from worker.queue.own_calls import Lost, OwnCalls

#: How many orders are named in one script.
PIECE = 500
#: How long a heartbeat waits for replicas to say that they know this worker.
KNOWN_MS = 500


class Vouching:
    """Names the calls of this process. Raises redis.RedisError if the server does not answer."""

    def __init__(
        self,
        run: Callable[..., Any],
        calls: OwnCalls,
        *,
        worker_id: str,
        settle_delay_ms: int,
        replicas: Replicas,
    ) -> None:
        self._run = run
        """Runs a script of the ledger by its name."""
        self._calls = calls
        self._worker_id = worker_id
        self._settle_delay_ms = settle_delay_ms
        self._replicas = replicas
        self._lock = threading.Lock()
        #: Whether the ledger did not know this worker, and its replicas may still not.
        self._is_new = False
        #: The era in which a new worker became known, and how much the server had written then.
        self._since: tuple[str, int] = ("", 0)
        self._has_said_so = False
        #: The era of a server that was replaced, and of which the log tells.
        self._old_era = ""

    def turn(self) -> int:
        """Vouch in the ledger's present era, if neither this thread nor another one has.

        Returns for how many ms this process must not, because the server that answers was replaced;
        0 if that is not so, or if another thread is about to find it out.
        """
        if not self._lock.acquire(blocking=False):
            return 0
        try:
            return self._turn()
        finally:
            self._lock.release()

    def _turn(self) -> int:
        era, known = self._ask("", [])
        if not era or era == self._calls.era:
            return 0
        left_ms = ceil(1000 * self._calls.begins(era, self._settle_delay_ms / 1000))
        if left_ms:
            if era != self._old_era:
                log_event("worker.old_primary", in_ms=left_ms)
            self._old_era = era
        else:
            self._vouch(era, known)
        return left_ms

    def _vouch(self, era: str, known: str) -> None:
        self._is_new |= not known
        found = int(known or 0)
        lost = self._calls.leave_era(found)
        number, _ = self._calls.next_beat()
        if not self._name(era, lost, number):
            return  # it is another era already: the next heartbeat shows it
        if self._is_new and not self._is_known_everywhere(era):
            return
        self._calls.enter_era(era, number, found)
        self._old_era = ""
        if not lost.are_all:
            log_event("worker.cannot_vouch", calls=len(lost.orders))
        elif known:
            log_event("worker.vouched", calls=len(lost.orders))

    def _ask(self, era: str, orders: list[str], **more: Any) -> tuple[str, str]:
        era, known = self._run(
            "vouch",
            worker_id=self._worker_id,
            era=era,
            orders=orders,
            settle_delay_ms=self._settle_delay_ms,
            **more,
        )
        return str(era), str(known)

    def _name(self, era: str, lost: Lost, number: int) -> bool:
        """Name the orders in this era; returns whether it still is."""
        orders = lost.orders
        for start in range(0, len(orders) or 1, PIECE):
            is_last = start + PIECE >= len(orders)
            more = {"number": number, "is_last": is_last, "gives_up": not lost.are_all}
            if self._ask(era, orders[start : start + PIECE], **more)[0] != era:
                return False
        return True

    def _is_known_everywhere(self, era: str) -> bool:
        """Whether each replica that could take over knows this worker, and would ask it."""
        if self._since[0] != era:
            self._since = (era, self._replicas.written())
        missing = self._replicas.missing(self._since[1], KNOWN_MS)
        if missing and not self._has_said_so:
            log_event("worker.unknown_to_replicas", replicas=missing)
        self._is_new = self._has_said_so = bool(missing)
        return not missing
